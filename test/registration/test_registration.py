from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cmr_ros.errors import InputError, RegistrationError
from cmr_ros.registration import HandSize, Noise, RootEstimate, hand_length_m, register
from cmr_ros.registration.extents import NORMALS, frame_lines, silhouette_extents
from support.registration_hands import (
    BLIND,
    SIZE_PX,
    blind_hands,
    cues,
    hand,
    placed,
    project,
    silhouette,
)

UNKNOWN = HandSize(deviation=np.inf)
SEEDS = st.integers(0, 2**31)
FEW = settings(max_examples=25, suppress_health_check=list(HealthCheck))


def place(vertices, joints, seen, matrix, size=UNKNOWN, **kwargs):
    """Register one hand and return its estimate or error."""
    return register(
        vertices[None], joints[None], [seen], matrix[None], SIZE_PX, sizes=[size], **kwargs
    )[0]


def ray_deviation(estimate, root):
    ray = root / np.linalg.norm(root)
    return np.sqrt(ray @ estimate.covariance_m2 @ ray)


@FEW
@given(SEEDS)
def test_recovers_the_root_exactly_without_noise(seed):
    rng = np.random.default_rng(seed)
    vertices, joints, faces, matrix, root = placed(rng)
    seen = cues(vertices, joints, faces, matrix, root, with_silhouette=False)
    for scheme in ("joints+silhouette", "joints", "published"):
        estimate = place(vertices, joints, seen, matrix, scheme=scheme)
        assert np.abs(estimate.translation_m - root).max() < 1e-6
        assert estimate.scale == pytest.approx(1)


@FEW
@given(SEEDS)
def test_a_drawn_silhouette_does_not_move_the_root(seed):
    rng = np.random.default_rng(seed)
    vertices, joints, faces, matrix, root = placed(rng)
    seen = cues(vertices, joints, faces, matrix, root)
    estimate = place(vertices, joints, seen, matrix)
    assert np.linalg.norm(estimate.translation_m - root) < 0.006 * root[2]
    assert estimate.cues == "joints+silhouette"


@FEW
@given(SEEDS)
def test_mirroring_picture_and_camera_mirrors_the_root(seed):
    rng = np.random.default_rng(seed)
    vertices, joints, faces, matrix, root = placed(rng)
    seen = cues(vertices, joints, faces, matrix, root, 2.0, rng)
    flip, mirror = np.array([[-1.0, 0, SIZE_PX - 1], [0, 1, 0], [0, 0, 1]]), np.diag([-1.0, 1, 1])
    flipped_px = seen.joints_px @ flip[:2, :2].T + flip[:2, 2]
    flipped = replace(seen, joints_px=flipped_px, silhouette=seen.silhouette[:, ::-1])
    plain = place(vertices, joints, seen, matrix)
    other = place(vertices @ mirror, joints @ mirror, flipped, flip @ matrix @ mirror)
    assert np.allclose(other.translation_m, mirror @ plain.translation_m, atol=2e-4)
    assert np.allclose(other.covariance_m2, mirror @ plain.covariance_m2 @ mirror, atol=1e-6)


@FEW
@given(SEEDS, st.integers(-8, 8), st.integers(-8, 8))
def test_shifting_the_crop_with_its_camera_changes_nothing(seed, right, down):
    rng = np.random.default_rng(seed)
    vertices, joints, faces, matrix, root = placed(rng)
    seen = cues(vertices, joints, faces, matrix, root, 2.0, rng)
    shift = np.array([[1.0, 0, right], [0, 1, down], [0, 0, 1]])
    shifted = replace(
        seen,
        joints_px=seen.joints_px + [right, down],
        silhouette=np.roll(seen.silhouette, (down, right), (0, 1)),
    )
    plain = place(vertices, joints, seen, matrix)
    other = place(vertices, joints, shifted, shift @ matrix)
    assert np.allclose(other.translation_m, plain.translation_m, atol=1e-5)


@FEW
@given(SEEDS)
def test_turning_crop_and_camera_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    vertices, joints, faces, matrix, root = placed(rng)
    seen = cues(vertices, joints, faces, matrix, root, 2.0, rng)
    quarter = np.array([[0.0, 1, 0], [-1, 0, SIZE_PX - 1], [0, 0, 1]])
    turned = replace(
        seen,
        joints_px=seen.joints_px @ quarter[:2, :2].T + quarter[:2, 2],
        silhouette=np.rot90(seen.silhouette),
    )
    plain = place(vertices, joints, seen, matrix)
    other = place(vertices, joints, turned, quarter @ matrix)
    assert np.allclose(other.translation_m, plain.translation_m, atol=2e-4)


@FEW
@given(SEEDS, st.floats(0.5, 2.0))
def test_scaling_the_crop_with_its_camera_hardly_changes_the_root(seed, factor):
    rng = np.random.default_rng(seed)
    vertices, joints, faces, matrix, root = placed(rng)
    seen = cues(vertices, joints, faces, matrix, root, 1.5, rng, with_silhouette=False)
    scaling = np.diag([factor, factor, 1.0])
    plain = place(vertices, joints, seen, matrix)
    other = place(vertices, joints, replace(seen, joints_px=factor * seen.joints_px),
                  scaling @ matrix)  # fmt: skip
    # The prior of the noise is in pixels, so that weights differ a little.
    moved = np.linalg.norm(other.translation_m - plain.translation_m)
    assert moved < 0.5 * ray_deviation(plain, root)


@FEW
@given(SEEDS)
def test_more_noise_means_more_covariance(seed):
    rng = np.random.default_rng(seed)
    vertices, joints, faces, matrix, root = placed(rng)
    seen = cues(vertices, joints, faces, matrix, root)
    noise = rng.normal(0, 1, seen.joints_px.shape)
    traces = []
    for sigma_px in (0.5, 1, 2, 4, 8):
        noisy = replace(seen, joints_px=seen.joints_px + sigma_px * noise)
        estimate = place(vertices, joints, noisy, matrix, scheme="joints")
        assert np.linalg.eigvalsh(estimate.covariance_m2).min() > 0
        assert 0 < estimate.depth_certainty <= 1
        traces.append(ray_deviation(estimate, root))
    assert (np.diff(traces) > 0).all()


def test_ninety_percent_ellipsoids_hold_ninety_percent():
    rng = np.random.default_rng(3)
    noise, inside, count = Noise(), 0, 300
    for _ in range(count):
        vertices, joints, faces, matrix, root = placed(rng)
        seen = cues(vertices, joints, faces, matrix, root, rng.uniform(1, 4), rng, False)
        wrong = np.exp(noise.length_log_sd * rng.standard_normal())
        bend = np.eye(3)
        bend[:2] += noise.bend_strain * rng.standard_normal((2, 3))
        offset = noise.root_m * rng.standard_normal(3)
        estimate = place(
            (wrong * vertices) @ bend.T + offset, (wrong * joints) @ bend.T + offset, seen, matrix
        )
        error = estimate.translation_m - root
        inside += error @ np.linalg.solve(estimate.covariance_m2, error) < 6.2514
    assert 0.85 <= inside / count <= 0.96


def test_what_the_root_errs_by_is_in_no_other_joint():
    vertices, joints, faces, matrix, root = placed(np.random.default_rng(5))
    seen = cues(vertices, joints, faces, matrix, root)
    exact, off = (place(vertices, joints, seen, matrix, noise=Noise(root_m=m)) for m in (0, 0.02))
    more_m2 = off.joint_covariances_m2 - exact.joint_covariances_m2
    assert np.allclose(more_m2[0], (0.02 * off.scale) ** 2 * np.eye(3))
    assert np.array_equal(off.covariance_m2, off.joint_covariances_m2[0])
    assert not more_m2[1:].any() and np.array_equal(off.translation_m, exact.translation_m)


@pytest.mark.parametrize("known", [False, True])
def test_ellipsoids_are_honest_for_a_network_that_cannot_see_size(known):
    rng, inside, bias = np.random.default_rng(29), [], []
    for vertices, joints, seen, matrix, root, length_m in blind_hands(rng, 300):
        size = HandSize(length_m, 0.01) if known else None
        estimate = place(vertices, joints, seen, matrix, size, noise=BLIND)
        error = estimate.translation_m - root
        inside.append(error @ np.linalg.solve(estimate.covariance_m2, error) < 6.2514)
        bias.append(error[2] / root[2])
    assert 0.84 <= np.mean(inside) <= 0.96
    assert abs(np.mean(bias)) < 0.02
    assert np.std(bias) < (0.075 if known else 0.12)


def test_what_is_known_of_the_size_replaces_the_population_a_blind_mesh_stands_for():
    vertices, joints, faces, matrix, root = placed(np.random.default_rng(31))
    seen = cues(vertices, joints, faces, matrix, root, with_silhouette=False)
    child = Noise(length_log_sd=0.05, length_m=0.12)
    estimate = place(vertices, joints, seen, matrix, None, noise=child)
    assert estimate.scale == pytest.approx(1) and estimate.size == HandSize(0.12, 0.05)
    adult = place(vertices, joints, seen, matrix, HandSize(), noise=child)
    assert adult.scale == pytest.approx(0.186 / 0.12)
    assert adult.size.length_m == pytest.approx(0.186) and adult.cues == "joints"


CORRUPTIONS = {
    "NaN mesh": lambda v, j, s, k: (v * np.nan, j, s, k),
    "infinite joints": lambda v, j, s, k: (v, j + np.inf, s, k),
    "mesh in one point": lambda v, j, s, k: (v * 0, j * 0, s, k),
    "no confidence": lambda v, j, s, k: (v, j, replace(s, confidence=0 * s.confidence), k),
    "NaN confidence": lambda v, j, s, k: (v, j, replace(s, confidence=np.nan * s.confidence), k),
    "one joint": lambda v, j, s, k: (v, j, replace(s, confidence=np.eye(21)[3]), k),
    "NaN seen": lambda v, j, s, k: (v, j, replace(s, joints_px=s.joints_px * np.nan), k),
    "zero focal length": lambda v, j, s, k: (v, j, s, np.diag([0.0, 0, 1])),
    "NaN camera": lambda v, j, s, k: (v, j, s, k * np.nan),
    "no pinhole": lambda v, j, s, k: (v, j, s, k + np.array([[0, 0, 0], [0, 0, 0], [0.1, 0, 0]])),
    "turned upside down": lambda v, j, s, k: (v, j, replace(s, joints_px=223 - s.joints_px), k),
    "seen in one pixel": lambda v, j, s, k: (v, j, replace(s, joints_px=0 * s.joints_px + 9), k),
    "another hand": lambda v, j, s, k: (
        v, j, replace(s, joints_px=np.random.default_rng(0).uniform(0, 223, (21, 2))), k,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_what_cannot_be_registered_fails_and_leaves_others_alone(name):
    rng = np.random.default_rng(5)
    good = [placed(rng) for _ in range(2)]
    seen = [cues(*hand, 1.0, rng) for hand in good]
    rows = [(v, j, s, k) for (v, j, _, k, _), s in zip(good, seen, strict=True)]
    rows.insert(1, CORRUPTIONS[name](*rows[0]))
    batch = register(*map(np.stack, list(zip(*rows, strict=True))[:2]), [r[2] for r in rows],
                     np.stack([r[3] for r in rows]), SIZE_PX)  # fmt: skip
    assert isinstance(batch[1], RegistrationError) and str(batch[1])
    for index, row in ((0, 0), (2, 1)):
        alone = place(*[good[row][i] for i in (0, 1)], seen[row], good[row][3], HandSize())
        assert np.allclose(batch[index].translation_m, alone.translation_m, atol=1e-9)


@FEW
@example(seed=624811, noise_px=40.5, confident=0.1875, holes=True)  # runs away
@given(SEEDS, st.floats(0, 60), st.floats(0, 1), st.booleans())
def test_garbage_never_comes_out_as_nan(seed, noise_px, confident, holes):
    rng = np.random.default_rng(seed)
    vertices, joints, faces, matrix, root = placed(rng)
    seen = cues(vertices, joints, faces, matrix, root, noise_px + 1e-9, rng)
    confidence = np.where(rng.random(21) < confident, rng.random(21), 0)
    points = seen.joints_px.copy()
    points[rng.random(21) < 0.1] = np.nan
    mask = rng.random(seen.silhouette.shape).astype(np.float32) * seen.silhouette
    if holes:
        mask[rng.random(mask.shape) < 0.3] = np.nan
    spread = np.where(rng.random(21) < 0.1, 0, rng.uniform(0.5, 9, 21))
    garbled = replace(
        seen, joints_px=points, confidence=confidence, spread_px=spread, silhouette=mask
    )
    for scheme in ("joints+silhouette", "joints", "silhouette", "published"):
        estimate = place(vertices, joints, garbled, matrix, HandSize(), scheme=scheme)
        if isinstance(estimate, RootEstimate):
            assert np.isfinite(estimate.translation_m).all()
            assert np.isfinite(estimate.covariance_m2).all()
            assert estimate.translation_m[2] > 0
        else:
            assert isinstance(estimate, RegistrationError)


def test_hands_close_to_the_camera_converge_like_others():
    rng = np.random.default_rng(0)
    matrix = np.array([[90.0, 0, 111.5], [0, 90, 111.5], [0, 0, 1]])
    for _ in range(60):
        vertices, joints, faces = hand(rng)
        root = np.array([0, 0, rng.uniform(0.12, 0.16)]) - vertices.mean(0)
        seen = cues(vertices, joints, faces, matrix, root, noise_px=3.0, rng=rng)
        (answer,) = register(vertices[None], joints[None], [seen], matrix[None], SIZE_PX)
        assert isinstance(answer, RootEstimate), answer


def test_an_empty_batch_is_no_error():
    assert register(np.zeros((0, 5, 3)), np.zeros((0, 21, 3)), [], np.zeros((0, 3, 3)), 224) == []


def test_arrays_that_do_not_fit_together_are_input_errors():
    vertices, joints, faces, matrix, root = placed(np.random.default_rng(0))
    seen = cues(vertices, joints, faces, matrix, root)
    with pytest.raises(InputError, match="known are"):
        place(vertices, joints, seen, matrix, scheme="guess")
    with pytest.raises(InputError, match="matrices"):
        place(vertices, joints, seen, matrix[:2])
    with pytest.raises(InputError, match="joints seen"):
        place(vertices, joints, replace(seen, joints_px=seen.joints_px[:20]), matrix)
    with pytest.raises(InputError, match="vertices"):
        place(vertices[:, :2], joints, seen, matrix)


@FEW
@given(SEEDS)
def test_gross_outliers_and_unseen_joints_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    vertices, joints, faces, matrix, root = placed(rng)
    seen = cues(vertices, joints, faces, matrix, root, 1.0, rng)
    points, confidence = seen.joints_px.copy(), np.ones(21)
    order = rng.permutation(21)
    points[order[:4]] += rng.choice([-1, 1], (4, 2)) * rng.uniform(30, 90, (4, 2))
    points[order[4:9]], confidence[order[4:9]] = 0, 0.05
    estimate = place(
        vertices, joints, replace(seen, joints_px=points, confidence=confidence), matrix
    )
    assert np.linalg.norm(estimate.translation_m - root) < 0.04 * root[2]


@pytest.mark.parametrize("by_edges", [False, True])
def test_a_truncated_silhouette_tells_only_the_sides_it_shows(by_edges):
    rng = np.random.default_rng(11)
    errors = []
    for _ in range(20):
        vertices, joints, faces, matrix, root = placed(rng)
        pixels = project(vertices + root, matrix)
        cut = int(pixels[:, 1].min() + 0.45 * np.ptp(pixels[:, 1]))
        seen = cues(vertices, joints, faces, matrix, root, 0.5, rng)
        mask, edges = seen.silhouette, None
        if by_edges:  # the picture ends within the crop
            mask = np.where(np.arange(SIZE_PX)[:, None] < cut, mask, 0)
            edges = np.array([[[0.0, -1, cut - 0.5]]])
        else:  # the crop itself cuts the hand
            shift = np.array([[1.0, 0, 0], [0, 1, SIZE_PX - cut], [0, 0, 1]])
            matrix = shift @ matrix
            seen = replace(seen, joints_px=seen.joints_px + [0, SIZE_PX - cut])
            mask = silhouette(project(vertices + root, matrix), faces)
        visible = seen.joints_px[:, 1] < (cut if by_edges else SIZE_PX)
        seen = replace(seen, confidence=visible * 1.0, silhouette=mask)
        estimate = place(vertices, joints, seen, matrix, edges=edges)
        errors.append(np.linalg.norm(estimate.translation_m - root) / root[2])
    assert np.median(errors) < 0.012 and max(errors) < 0.05


def test_eroded_and_occluded_silhouettes_hardly_move_the_root():
    rng = np.random.default_rng(13)
    eroded, occluded = [], []
    for _ in range(20):
        vertices, joints, faces, matrix, root = placed(rng)
        seen = cues(vertices, joints, faces, matrix, root, 1.0, rng)
        thin = cv2.erode(seen.silhouette, np.ones((3, 3)), iterations=2)
        estimate = place(vertices, joints, replace(seen, silhouette=thin), matrix)
        eroded.append(np.linalg.norm(estimate.translation_m - root) / root[2])
        hidden = seen.silhouette.copy()
        left = int(np.nonzero(hidden.any(0))[0][0])
        hidden[:, left : left + 25] = 0
        estimate = place(vertices, joints, replace(seen, silhouette=hidden), matrix)
        occluded.append(np.linalg.norm(estimate.translation_m - root) / root[2])
    assert np.median(eroded) < 0.02 and np.median(occluded) < 0.02


@FEW
@given(SEEDS, st.floats(0.85, 1.15))
def test_a_known_size_sets_the_scale(seed, wrong):
    rng = np.random.default_rng(seed)
    vertices, joints, faces, matrix, root = placed(rng)
    seen = cues(vertices, joints, faces, matrix, root, with_silhouette=False)
    size = HandSize(float(hand_length_m(joints)), 1e-5, is_measured=True)
    estimate = place(wrong * vertices, wrong * joints, seen, matrix, size)
    assert estimate.scale * wrong == pytest.approx(1, rel=1e-4)
    assert np.linalg.norm(estimate.translation_m - root) < 1e-4
    assert estimate.cues == "joints+size"
    assert estimate.size.length_m == pytest.approx(size.length_m, rel=1e-4)


def depth_picture(vertices, faces, matrix, root, background_m=1.5):
    """Return z in the crop of the nearest of many points on the faces."""
    shares = np.random.default_rng(0).dirichlet(np.ones(3), 400)
    points = np.einsum("sc,fcx->fsx", shares, (vertices + root)[faces]).reshape(-1, 3)
    column, row = np.clip(np.rint(project(points, matrix)).astype(int), 0, SIZE_PX - 1).T
    picture = np.full((SIZE_PX, SIZE_PX), np.inf)
    np.minimum.at(picture, (row, column), points[:, 2])
    return np.where(np.isfinite(picture), picture, background_m)


def test_depth_resolves_the_scale_despite_holes_and_occluders():
    rng = np.random.default_rng(17)
    errors = []
    for _ in range(20):
        vertices, joints, faces, matrix, root = placed(rng)
        seen = cues(vertices, joints, faces, matrix, root, 1.0, rng)
        depth = depth_picture(vertices, faces, matrix, root)
        depth += rng.normal(0, 0.003, depth.shape)
        depth[rng.random(depth.shape) < 0.3] = rng.choice([0.0, np.nan])
        depth[:90, :70] = 0.2
        wrong = rng.uniform(0.9, 1.1)
        estimate = place(
            wrong * vertices, wrong * joints, seen, matrix, depths_m=[depth],
            noise=replace(Noise(), length_log_sd=0.06),
        )  # fmt: skip
        errors.append(np.linalg.norm(estimate.translation_m - root))
        assert estimate.cues == "joints+silhouette+depth"
    assert np.median(errors) < 0.008 and max(errors) < 0.025


@pytest.mark.parametrize("length_m", [0.13, 0.155, 0.215])
@pytest.mark.parametrize("is_known", [False, True])
def test_depth_counts_for_hands_of_any_size(length_m, is_known):
    # Meshes all represent one length, which is not this hand's.
    noise = replace(Noise(), length_m=0.186, length_log_sd=0.08, scale_log_sd=0.046)
    size = HandSize.measured(length_m) if is_known else HandSize(length_m * 1.06, 0.065)
    rng, errors_m = np.random.default_rng(23), []
    for _ in range(8):
        vertices, joints, faces, matrix, root = placed(rng)
        seen = cues(vertices, joints, faces, matrix, root)
        # The same image of a hand of another size, which is as much nearer.
        factor = length_m / float(hand_length_m(joints))
        depth_m = factor * depth_picture(vertices, faces, matrix, root)
        mesh = 0.186 / float(hand_length_m(joints))
        estimate = place(
            mesh * vertices, mesh * joints, seen, matrix, size, depths_m=[depth_m], noise=noise
        )
        assert "depth" in estimate.cues
        errors_m.append((estimate.translation_m - factor * root)[2])
    assert abs(np.mean(errors_m)) < 0.004 and np.abs(errors_m).max() < 0.008


def test_depth_of_something_else_is_left_out():
    rng = np.random.default_rng(19)
    vertices, joints, faces, matrix, root = placed(rng)
    seen = cues(vertices, joints, faces, matrix, root, 1.0, rng)
    for nonsense in (np.zeros((224, 224)), np.full((60, 80), np.nan), np.full((224, 224), 3.0)):
        estimate = place(vertices, joints, seen, matrix, depths_m=[nonsense])
        assert "depth" not in estimate.cues
        assert np.linalg.norm(estimate.translation_m - root) < 0.03


@FEW
@given(SEEDS, st.sampled_from([56, 112, 224]))
def test_extents_agree_with_the_outline_at_any_resolution(seed, cells):
    rng = np.random.default_rng(seed)
    vertices, _, faces, matrix, root = placed(rng)
    pixels = project(vertices + root, matrix)
    mask = silhouette(pixels, faces)
    soft = mask.reshape(cells, SIZE_PX // cells, cells, SIZE_PX // cells).mean((1, 3))
    extents = silhouette_extents([soft], SIZE_PX, frame_lines(SIZE_PX)[None])
    error = extents.reach_px[0] - (pixels @ NORMALS.T).max(0)
    assert extents.shown.all()
    assert np.abs(error).max() < 2.5 * SIZE_PX / cells
    assert np.abs(np.median(error)) < 0.7 * SIZE_PX / cells


def test_a_batch_gives_each_hand_what_it_gets_alone():
    rng = np.random.default_rng(23)
    hands = [placed(rng) for _ in range(6)]
    seen = [cues(*hand, 2.0, rng) for hand in hands]
    together = register(
        np.stack([h[0] for h in hands]), np.stack([h[1] for h in hands]), seen,
        np.stack([h[3] for h in hands]), SIZE_PX, sizes=[UNKNOWN] * 6,
    )  # fmt: skip
    for one, cue, estimate in zip(hands, seen, together, strict=True):
        alone = place(one[0], one[1], cue, one[3])
        assert np.allclose(alone.translation_m, estimate.translation_m, atol=1e-9)
