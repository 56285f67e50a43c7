import cv2
import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import CropCamera, Region, picture_edges

K = np.array([[620.0, 0, 350], [0, 560, 205], [0, 0, 1]])
SKEWED = K + [[0, 40, 0], [0, 0, 0], [0, 0, 0]]
CAMERAS = {
    "pinhole": Camera(640, 480, K),
    "skewed": Camera(640, 480, SKEWED),
    "skewed_plumb_bob": Camera(640, 480, SKEWED, [-0.3, 0.1, 0.002, -0.003, 0], "plumb_bob"),
    "skewed_equidistant": Camera(640, 480, SKEWED, [-0.02, 0.01, 0, 0], "equidistant"),
    "plumb_bob": Camera(640, 480, K, [-0.3, 0.1, 0.002, -0.003, 0], "plumb_bob"),
    "equidistant": Camera(640, 480, K, [-0.02, 0.01, 0, 0], "equidistant"),
}
REGION = Region((390, 260), 180, 0.6)
KINDS = [CropCamera.looking_at, CropCamera.affine]


def crops():
    for name, camera in CAMERAS.items():
        for kind in KINDS:
            for mirrored in (False, True):
                yield pytest.param(
                    kind(camera, REGION, 224, mirrored),
                    id=f"{name}-{kind.__name__}-{'mirrored' if mirrored else 'upright'}",
                )


def blobs(pixels: np.ndarray, shape: tuple[int, int], sigma: float) -> np.ndarray:
    """Draw one Gaussian dot per pixel position."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    distance = (x[..., None] - pixels[:, 0]) ** 2 + (y[..., None] - pixels[:, 1]) ** 2
    return np.uint8(255 * np.exp(-0.5 * distance / sigma**2).max(-1))


def blob_center(picture: np.ndarray, near: np.ndarray, reach: int) -> np.ndarray:
    """Return the brightness centroid of the dot near a pixel."""
    left, top = np.maximum(np.round(near).astype(int) - reach, 0)
    patch = picture[top : top + 2 * reach + 1, left : left + 2 * reach + 1].astype(float)
    y, x = np.mgrid[top : top + patch.shape[0], left : left + patch.shape[1]]
    return np.array([(x * patch).sum(), (y * patch).sum()]) / patch.sum()


@pytest.mark.parametrize("crop", list(crops()))
def test_dots_land_where_the_crop_camera_says(crop):
    expected = np.array([[60.0, 60], [160, 70], [112, 112], [70, 165], [165, 150]])
    picture_px = crop.to_picture(expected)
    picture = blobs(picture_px, (480, 640), 3)
    cut = crop.cut(picture)
    for here in expected:
        assert np.allclose(blob_center(cut, here, 14), here, atol=0.2)


@pytest.mark.parametrize("crop", list(crops()))
def test_project_equals_cut_geometry(crop):
    points = crop.from_camera(np.array([[0.02, 0.03, 0.5], [0.05, 0.06, 0.6], [0.0, 0.05, 0.7]]))
    pixels = crop.source.project(crop.to_camera(points))
    assert np.allclose(crop.from_picture(pixels), crop.project(points), atol=1e-6)
    assert np.allclose(crop.to_picture(crop.project(points)), pixels, atol=1e-6)


@pytest.mark.parametrize("crop", list(crops()))
def test_frames_convert_back_and_forth(crop):
    points = np.random.default_rng(0).normal(size=(7, 3))
    assert np.allclose(crop.to_camera(crop.from_camera(points)), points)
    assert np.allclose(crop.rotation @ crop.rotation.T, np.eye(3))
    assert np.linalg.det(crop.rotation) == pytest.approx(-1 if crop.mirrored else 1)


@pytest.mark.parametrize("name", CAMERAS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_mirrored_crop_is_the_flipped_crop(name, kind):
    picture = np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8)
    picture = cv2.GaussianBlur(picture, (0, 0), 3)
    plain, mirrored = (kind(CAMERAS[name], REGION, 128, m).cut(picture) for m in (False, True))
    assert np.abs(plain[:, ::-1].astype(int) - mirrored).max() <= 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CAMERAS)
def test_region_maps_to_the_whole_crop(name, kind):
    crop = kind(CAMERAS[name], REGION, 224)
    corners = crop.from_picture(REGION.corners_px())
    wanted = np.array([[-0.5, -0.5], [223.5, -0.5], [223.5, 223.5], [-0.5, 223.5]])
    assert np.abs(corners - wanted).max() < 20  # perspective and lens bend it a little
    assert np.allclose(crop.from_picture(np.array(REGION.center_px)), 111.5)


def test_virtual_camera_looks_along_the_region():
    crop = CropCamera.looking_at(CAMERAS["plumb_bob"], REGION, 224)
    ray = crop.source.rays(np.array(REGION.center_px))
    assert np.allclose(crop.from_camera(ray)[:2], 0, atol=1e-9)
    above = crop.from_picture(
        np.array(REGION.center_px) + 20 * np.array([np.sin(0.6), -np.cos(0.6)])
    )
    assert above[0] == pytest.approx(111.5, abs=0.2) and above[1] < 90


def test_a_fisheye_region_keeps_its_area_far_off_axis():
    matrix = [[300, 0, 400], [0, 300, 400], [0, 0, 1]]
    camera = Camera(800, 800, matrix, [0.01, 0, 0, 0], "equidistant")
    crop = CropCamera.looking_at(camera, Region((650, 400), 40), 160)
    corners = crop.from_picture(Region((650, 400), 40).corners_px())
    area = cv2.contourArea(corners.astype(np.float32))
    assert area == pytest.approx(160**2, rel=0.05)


def test_affine_is_a_times_k():
    camera = CAMERAS["pinhole"]
    crop = CropCamera.affine(camera, Region((390, 260), 112), 224)
    a = np.array([[2, 0, 111.5 - 2 * 390], [0, 2, 111.5 - 2 * 260], [0, 0, 1]])
    assert np.allclose(crop.matrix, a @ K)


@pytest.mark.parametrize("mirrored", [False, True])
def test_affine_frame_turns_with_the_crop(mirrored):
    """What is right and down in the crop's picture is x and y of its frame."""
    camera = Camera(640, 480, [[500, 0, 320], [0, 500, 240], [0, 0, 1]])
    crop = CropCamera.affine(camera, Region((390, 260), 112, 0.7), 224, mirrored)
    origin, right, down = crop.project([[0, 0, 1], [0.1, 0, 1], [0, 0.1, 1]])
    assert np.allclose([right - origin, down - origin], [[100, 0], [0, 100]])


def test_large_regions_are_averaged_not_aliased():
    checkers = (np.indices((480, 640)).sum(0) % 2 * 255).astype(np.uint8)
    crop = CropCamera.affine(CAMERAS["pinhole"], Region((320, 240), 448), 56).cut(checkers)
    assert np.abs(crop[4:-4, 4:-4].astype(int) - 127).max() < 25


def test_outside_the_picture_is_black():
    white = np.full((480, 640), 255, np.uint8)
    for camera in CAMERAS.values():
        crop = CropCamera.looking_at(camera, Region((5, 240), 100), 64).cut(white)
        assert crop[32, 2] == 0 and crop[32, 60] == 255


def test_a_folding_lens_shows_no_ghost():
    lens = Camera(640, 480, [[300, 0, 320], [0, 300, 240], [0, 0, 1]], [-0.3, 0, 0, 0], "plumb_bob")
    crop = CropCamera.looking_at(lens, Region((520, 240), 300), 64)
    rays = crop.to_camera(np.array([3.0, 0, 1]))
    assert not lens.sees(rays)
    cut = crop.cut(np.full((480, 640), 255, np.uint8))
    assert cut[32, 63] == 0 and cut[32, 10] == 255


def test_wrong_picture_size_and_regions_are_refused():
    crop = CropCamera.affine(CAMERAS["pinhole"], REGION, 64)
    with pytest.raises(InputError, match="matching CameraInfo"):
        crop.cut(np.zeros((240, 320), np.uint8))
    for bad in (((np.nan, 0), 10), ((0, 0), 0), ((0, 0), -3)):
        with pytest.raises(InputError, match="region"):
            Region(*bad)


@pytest.mark.parametrize("crop", list(crops()))
def test_picture_edges_bound_what_the_picture_shows(crop):
    near = type(crop).looking_at(crop.source, Region((600, 60), 260, 0.3), 224, crop.mirrored)
    lines = picture_edges([near])[0]
    picture_px = np.array([[639.0, 40], [560, 0], [620, 20], [639.0, 100]])
    pixels = np.concatenate([near.from_picture(picture_px), np.ones((4, 1))], axis=1)
    assert (pixels @ lines.T > -2).all()
    beyond = near.from_picture(np.array([[639.5, 60], [600, -0.5]]))
    distance = np.concatenate([beyond, np.ones((2, 1))], axis=1) @ lines.T
    assert distance[0, 1] == pytest.approx(0, abs=2) and distance[1, 2] == pytest.approx(0, abs=2)


@pytest.fixture(scope="module")
def rays():
    """Rays of all pixels of a camera, computed once: undistortion takes its time."""
    grid = np.stack(np.meshgrid(np.arange(640), np.arange(480)), -1)
    every = {id(camera): camera.rays(grid) for camera in CAMERAS.values()}
    return lambda camera: every[id(camera)]


@pytest.mark.parametrize("crop", list(crops()))
def test_cut_depth_is_z_in_the_crops_frame(crop, rays):
    normal, offset = np.array([0.2, -0.1, 1.0]), 0.7  # a plane: normal . X = offset
    depth = offset / (rays(crop.source) @ normal)
    cut = crop.cut_depth(depth)
    pixels = np.array([[20, 30], [112, 112], [200, 150]])
    z = cut[pixels[:, 1], pixels[:, 0]]
    points = np.linalg.solve(crop.matrix, np.c_[pixels, np.ones(3)].T).T * z[:, None]
    assert np.allclose(crop.to_camera(points) @ normal, offset, atol=2e-3)


def test_cut_depth_is_zero_outside_the_picture():
    crop = CropCamera.looking_at(CAMERAS["pinhole"], Region((5, 240), 100), 64)
    cut = crop.cut_depth(np.full((480, 640), 0.5, np.float32))
    assert cut[32, 2] == 0 and cut[32, 60] > 0.4
