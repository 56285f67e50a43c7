"""`cmr train`: train a network as a plan says."""

from __future__ import annotations

import argparse
import json

from cmr_ros.errors import InputError
from cmr_ros.files.untrusted import parse_yaml


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("plan", help="YAML file, such as config/train_mobile_gpu.yaml")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change an entry of it"
    )


def run(args: argparse.Namespace) -> None:
    """Train; torchrun starts the command once per process for several GPUs."""
    from cmr_ros.training.loop import Training
    from cmr_ros.training.plan import load_plan
    from cmr_ros.training.processes import joined

    plan = load_plan(args.plan, **dict(map(_change, args.set)))
    with joined() as processes:
        if not args.resume and (plan.output / "last.pt").exists():
            raise InputError(
                f"{plan.output} holds a run: --resume goes on, --set output= leaves it"
            )
        training = Training(plan, processes)
        if args.resume:
            training.resume()
        metrics = training.run()
        if processes.leads:
            print(json.dumps(metrics, indent=2))


def _change(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    remedy = "expected NAME=VALUE, the value as in a plan"
    if not equals:
        raise InputError(f"--set {text}: {remedy}")
    return name, parse_yaml(value, f"--set {text}", remedy)
