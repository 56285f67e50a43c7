"""`cmr benchmark`: measure a part of the pipeline by itself."""

from __future__ import annotations

from importlib import import_module

#: Part -> one-line help; `cmr_ros.benchmark.PART` has `add_arguments(parser)` and `run(args)`.
PARTS = {
    "pipeline": "milliseconds per image of the whole pipeline, stage by stage",
    "node": "the node over DDS: latency, dropped images, one or more cameras",
    "registration": "root error on cases with known roots, beside the published results",
    "noise": "errors of a model's roots on held-out renders, for its card",
    "detection": "hands found by size and kind, false hands, and the time to look for them",
    "tracking": "ids kept where hands cross, touch, are hidden or are many",
    "gpu": "everything on one GPU: is it right, how fast is it, does it train",
    "network": "milliseconds of a network, onnxruntime beside plain torch",
}


def add_arguments(parser) -> None:
    """Declare the arguments of every part."""
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")
    for name, summary in PARTS.items():
        part = parts.add_parser(name, help=summary, description=summary)
        import_module(f"cmr_ros.benchmark.{name}").add_arguments(part)


def run(args) -> int | None:
    """Measure the part asked for; return its exit status."""
    return import_module(f"cmr_ros.benchmark.{args.part}").run(args)
