import cv2
import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.geometry.camera import Camera

K = np.array([[610.0, 0, 301], [0, 590, 262], [0, 0, 1]])
LENSES = {
    "plumb_bob": [-0.32, 0.11, 0.002, -0.003, 0.02],
    "plumb_bob strong": [-0.42, 0.18, 0.004, 0.003, -0.03],
    "rational_polynomial": [0.6, 0.05, 1e-3, -5e-4, 2e-3, 0.95, 0.12, 0.01],
    "plumb_bob tilted": [-0.3, 0.1, 1e-3, -2e-3, 0, 0, 0, 0, 1e-3, -2e-3, 5e-4, 1e-3, 0.02, -0.01],
    "equidistant": [-0.02, 0.01, -0.004, 0.0006],
    "equidistant ideal": [0.0, 0.0, 0.0, 0.0],
}


def lens_camera(name: str) -> Camera:
    return Camera(640, 480, K, LENSES[name], name.split()[0])


@pytest.mark.parametrize("name", LENSES)
def test_project_agrees_with_cv2(name):
    camera = lens_camera(name)
    points = np.random.default_rng(0).uniform([-0.3, -0.2, 0.6], [0.3, 0.2, 1.2], (2, 50, 3))
    zero, distortion = np.zeros(3), np.array(LENSES[name])
    lens = cv2.fisheye if name.startswith("equidistant") else cv2
    expected, _ = lens.projectPoints(points.reshape(-1, 1, 3), zero, zero, K, distortion)
    assert np.allclose(camera.project(points), expected.reshape(2, 50, 2), atol=1e-9)


@pytest.mark.parametrize("name", LENSES)
def test_rays_invert_project_over_the_whole_picture(name):
    camera = lens_camera(name)
    pixels = np.stack(np.meshgrid(np.linspace(0, 639, 23), np.linspace(0, 479, 17)), -1)
    rays = camera.rays(pixels)
    assert np.allclose(camera.project(rays), pixels, atol=1e-6)
    assert camera.sees(rays).all()
    assert (rays[..., 2] == 1).all()


def test_rays_agree_with_converged_cv2():
    camera = lens_camera("plumb_bob")
    pixels = np.random.default_rng(1).uniform([150, 120], [450, 380], (30, 2))
    flat = cv2.undistortPoints(pixels[:, None], K, np.array(LENSES["plumb_bob"]))[:, 0]
    assert np.allclose(camera.rays(pixels)[:, :2], flat, atol=1e-3)


def test_an_equidistant_lens_without_coefficients_is_no_pinhole():
    angle = np.radians(35)
    point = np.array([np.sin(angle), 0, np.cos(angle)])
    for distortion in ([], [0.0] * 4):
        camera = Camera(640, 480, K, distortion, "equidistant")
        assert camera.project(point) == pytest.approx([301 + 610 * angle, 262])
        assert camera.rays(camera.project(point)) == pytest.approx(point / point[2])


@pytest.mark.parametrize("seed", range(20))
def test_no_camera_info_ends_in_another_error_or_in_rays_that_are_none(seed):
    rng = np.random.default_rng(seed)

    def numbers(count):
        return rng.normal(size=count) * 10.0 ** rng.integers(-160, 160) ** rng.integers(0, 2)

    for model in ("plumb_bob", "rational_polynomial", "equidistant", ""):
        for scale in (1e-3, 1.0, None):
            count = int(rng.choice([0, 4, 5, 8, 12, 14]))
            d = numbers(count) if scale is None else scale * rng.normal(size=count)
            k = K.ravel() + (numbers(9) if scale is None and seed % 2 else 0)
            try:
                camera = Camera.from_calibration(640, 480, k, d, model)
            except InputError:
                continue
            pixels = rng.uniform([0, 0], [640, 480], (9, 2))
            rays = camera.rays(pixels)
            assert np.isfinite(rays).all() and camera.sees(rays).dtype == bool
            assert camera.project(rays).shape == pixels.shape


def test_skewed_and_unequal_focal_lengths_without_distortion():
    camera = Camera(640, 480, [[500, 3, 100], [0, 700, 400], [0, 0, 1]])
    points = np.random.default_rng(2).uniform([-1, -1, 0.5], [1, 1, 2], (20, 3))
    pixels = camera.project(points)
    expected = points @ camera.matrix.T
    assert np.allclose(pixels, expected[:, :2] / expected[:, 2:])
    assert np.allclose(camera.rays(pixels), points / points[:, 2:])


def test_a_lens_that_folds_back_sees_no_ghosts():
    camera = Camera(640, 480, K, [-0.3, 0, 0, 0], "plumb_bob")
    fold = np.sqrt(1 / 0.9)  # where d/dr (r - 0.3 r^3) = 0
    points = np.array([[0.99 * fold, 0, 1], [1.01 * fold, 0, 1], [0.1, 0, -1]])
    assert camera.sees(points).tolist() == [True, False, False]
    outside = camera.rays(np.array([5000.0, 262]))
    assert np.isfinite(outside).all() and outside[0] == pytest.approx(fold, rel=0.02)


def test_binning_and_roi_follow_rep_104():
    camera = Camera.from_calibration(
        1280, 960, [800, 0, 640, 0, 820, 470, 0, 0, 1], binning=(2, 4), roi_offset=(100, 40),
        roi_size=(600, 400),
    )  # fmt: skip
    assert (camera.width, camera.height) == (300, 100)
    assert np.allclose(camera.matrix, [[400, 0, 270], [0, 205, 107.5], [0, 0, 1]])


def test_roi_as_large_as_the_message_says_nothing_of_the_sensor():
    k = [800, 0, 640, 0, 820, 470, 0, 0, 1]
    for roi_size in ((600, 400), (0, 0)):
        camera = Camera.from_calibration(600, 400, k, roi_offset=(320, 240), roi_size=roi_size)
        assert (camera.width, camera.height) == (600, 400)
        assert np.allclose(camera.matrix, [[800, 0, 320], [0, 820, 230], [0, 0, 1]])


def test_zero_binning_and_roi_mean_full_resolution():
    k = [800, 0, 640, 0, 820, 470, 0, 0, 1]
    camera = Camera.from_calibration(1280, 960, k, binning=(0, 0))
    assert (camera.width, camera.height) == (1280, 960)
    assert np.allclose(camera.matrix.ravel(), k)


def test_rectified_pictures_use_p_alone():
    p = [700, 0, 320, -42, 0, 710, 240, 0, 0, 0, 1, 0]
    camera = Camera.from_calibration(
        640, 480, K.ravel(), LENSES["plumb_bob"], "plumb_bob", p=p, rectified=True
    )
    assert camera.distortion.size == 0
    assert np.allclose(camera.matrix, [[700, 0, 320], [0, 710, 240], [0, 0, 1]])


def test_field_of_view_spans_the_width():
    camera = Camera.from_fov(640, 480, 60)
    left, right = camera.rays(np.array([[-0.5, 239.5], [639.5, 239.5]]))
    angle = np.degrees(np.arccos(left @ right / np.linalg.norm(left) / np.linalg.norm(right)))
    assert angle == pytest.approx(60)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"matrix": np.zeros((3, 3))}, "not calibrated"),
        ({"matrix": np.full((3, 3), np.nan)}, "finite"),
        ({"matrix": np.eye(4)}, "3x3"),
        ({"matrix": [[1, 0, 0], [0, 1, 0], [0, 1, 1]]}, "rows"),
        ({"width": 0}, "positive"),
        ({"matrix": [[1, 0, 320], [0, 1, 240], [0, 0, 1]]}, "of 179.6 x 179.5 degrees"),
        ({"matrix": [[20, 0, 320], [0, 20, 240], [0, 0, 1]]}, "of 172.8 x 170.5 degrees"),
        ({"matrix": [[3.6, 0, 320], [0, 3.6, 240], [0, 0, 1]]}, "not calibrated"),
        ({"matrix": [[0.95, 0, 0.5], [0, 1.27, 0.5], [0, 0, 1]]}, "not calibrated"),
        ({"matrix": [[1e6, 0, 320], [0, 1e6, 240], [0, 0, 1]]}, "of 0.03667 x 0.0275 degrees"),
        ({"matrix": [[1e155, 0, 320], [0, 1e155, 240], [0, 0, 1]]}, "no lens has"),
        ({"matrix": [[1e-155, 0, 320], [0, 1e-155, 240], [0, 0, 1]]}, "no lens has"),
        ({"matrix": [[600, 0, 320], [0, 100, 240], [0, 0, 1]]}, "far from square"),
        ({"matrix": [[600, 1e155, 320], [0, 600, 240], [0, 0, 1]]}, "far from square"),
        ({"matrix": [[600, 0, 1e155], [0, 600, 240], [0, 0, 1]]}, "principal point 1e\\+155, 240"),
        ({"matrix": [[600, 0, 320], [0, 600, -9000], [0, 0, 1]]}, "principal point 320, -9000"),
        (
            {"matrix": [[1, 0, 320], [0, 1, 240], [0, 0, 1]], "distortion_model": "equidistant"},
            "of 3.667e\\+04 x 2.75e\\+04 degrees",
        ),
        ({"distortion": [0.1, 0.2], "distortion_model": "plumb_bob"}, "coefficients"),
        (
            {"distortion": [-40, 0, 0, 0], "distortion_model": "plumb_bob"},
            "as no lens does; check D",
        ),
        ({"distortion": [1e155] * 5, "distortion_model": "plumb_bob"}, "as no lens does; check D"),
        ({"distortion": [-1e155] * 4, "distortion_model": "equidistant"}, "as no lens does"),
        ({"distortion": [np.nan] * 4, "distortion_model": "plumb_bob"}, "finite"),
        ({"distortion_model": "mystery"}, "known are"),
    ],
)
def test_cameras_that_cannot_be_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        Camera(**{"width": 640, "height": 480, "matrix": K, **arguments})


@pytest.mark.parametrize(
    "size, f, model",
    [
        ((640, 480), 28, ""),  # 170 degrees, as in simulations
        ((640, 480), 122, "equidistant"),  # a circle of 225 degrees in 480 pixels
        ((1920, 1080), 180, "equidistant"),  # a circle of 280 degrees in 880 pixels
        ((1280, 1024), 300_000, ""),  # a telescope of 1.5 m with pixels of 5 um
        ((64, 48), 5000, ""),  # a few pixels of a telephoto lens
        ((1, 1), 1, ""),
    ],
)
def test_what_real_lenses_have_is_accepted(size, f, model):
    matrix = [[f, 0, size[0] / 2], [0, f, size[1] / 2], [0, 0, 1]]
    camera = Camera(*size, matrix, distortion_model=model)
    assert np.isfinite(camera.rays(np.array([[0, 0], size]))).all()


@pytest.mark.parametrize("hfov_deg", [0.0, -1.0, 171.0, 180.0, np.nan])
def test_fields_of_view_that_no_lens_has_are_refused(hfov_deg):
    with pytest.raises(InputError, match="horizontal field of view.*0 to 170"):
        Camera.from_fov(640, 480, hfov_deg)


def test_every_field_of_view_that_may_be_assumed_is_accepted():
    for size in ((640, 480), (480, 640)):
        assert Camera.from_fov(*size, 170).focal_px == pytest.approx(size[0] / 22.86, rel=1e-3)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"k": [1.0] * 8}, "9 numbers"),
        ({"rectified": True}, "12 numbers"),
        ({"roi_offset": (600, 0), "roi_size": (100, 100)}, "leaves the"),
        ({"roi_offset": (-8, 0), "roi_size": (640, 480)}, "leaves the"),
        ({"roi_offset": (8, 0), "roi_size": (800, 480)}, "leaves the"),
        ({"k": [0.0] * 9}, "camera matrix K.*not calibrated"),
        ({"p": [0.0] * 12, "rectified": True}, "projection matrix P.*not calibrated"),
    ],
)
def test_calibrations_that_cannot_be_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        Camera.from_calibration(**{"width": 640, "height": 480, "k": K.ravel(), **arguments})
