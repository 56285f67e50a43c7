"""A headless renderer of textured, lit meshes: OpenGL 3.3 through EGL, on a GPU or on Mesa's CPU.

Only making training pictures and recordings needs it.  Lighting is spherical-harmonic environment
light dimmed by ambient occlusion, one key light with a shadow map, a glossy highlight and a skin
tint where light creeps into shadow.  Colours are computed in linear light and encoded to sRGB.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.geometry.mesh import vertex_normals
from cmr_ros.synthesis.surfaces import Layers, Light, Material, Mesh, Texture

if TYPE_CHECKING:
    import moderngl


_SAMPLES = 4
_SHADOW_SIZE = 256
_NEAR_M, _FAR_M = 0.02, 20.0


class Renderer:
    """Draws meshes by OpenGL.  Raises InputError where EGL is not installed."""

    def __init__(self, width_px: int, height_px: int | None = None):
        self.size_px = width_px, height_px or width_px
        self._context = context = _open_context(os.getpid())
        context.front_face = "cw"  # pictures are drawn upside down, see `_projection`
        self._program = _program(context, "surface")
        self._shadow_program = _program(context, "shadow")
        self._target = context.framebuffer(
            [
                context.renderbuffer(self.size_px, 4, samples=_SAMPLES),
                context.renderbuffer(self.size_px, 4, samples=_SAMPLES, dtype="f2"),
            ],
            context.depth_renderbuffer(self.size_px, samples=_SAMPLES),
        )
        self._resolved = context.framebuffer(
            [
                context.renderbuffer(self.size_px, 4),
                context.renderbuffer(self.size_px, 4, dtype="f2"),
            ]
        )
        self._shadow_map = context.depth_texture((_SHADOW_SIZE, _SHADOW_SIZE))
        self._shadow_map.compare_func = "<="
        self._shadow_map.repeat_x = self._shadow_map.repeat_y = False
        self._shadow_target = context.framebuffer(depth_attachment=self._shadow_map)
        self._textures = weakref.WeakKeyDictionary()

    @property
    def device(self) -> str:
        """What draws, as OpenGL names it."""
        return self._context.info["GL_RENDERER"]

    def render(self, meshes: Sequence[Mesh], matrix: np.ndarray, light: Light) -> Layers:
        """Return the picture of `meshes` through a pinhole camera with intrinsics (3, 3)."""
        context = self._context
        buffers = [context.buffer(_corners(mesh).tobytes()) for mesh in meshes]
        shadow = _shadow_matrix(meshes, light.key_direction)
        context.enable_only(context.DEPTH_TEST)
        self._shadow_target.use()
        self._shadow_target.clear()
        self._shadow_program["to_shadow"].write(_columns(shadow))
        for buffer in buffers:
            _draw(context, self._shadow_program, buffer, "3f 32x", "position")
        self._target.use()
        self._target.clear()
        self._shadow_map.use(1)
        self._set_scene(matrix, light, shadow)
        for mesh, buffer in zip(meshes, buffers, strict=True):
            self._set_material(mesh.material)
            (context.enable if mesh.closed else context.disable)(context.CULL_FACE)
            layout = "3f 3f 2f 3f", ("position", "normal", "uv", "part_ambient")
            _draw(context, self._program, buffer, layout[0], *layout[1])
        context.copy_framebuffer(self._resolved, self._target)
        return self._read()

    def _set_scene(self, matrix: np.ndarray, light: Light, shadow: np.ndarray) -> None:
        program = self._program
        program["to_clip"].write(_columns(_projection(matrix, *self.size_px)))
        program["to_shadow"].write(_columns(shadow))
        program["to_environment"].write(_columns(light.rotation))
        program["harmonics"].write(np.ascontiguousarray(light.harmonics, np.float32))
        program["key_direction"] = tuple(light.key_direction)
        program["key_color"] = tuple(light.key_color)
        program["exposure"] = tuple(light.exposure)
        program["colors"], program["shadow_map"] = 0, 1

    def _set_material(self, material: Material) -> None:
        program = self._program
        program["tint"] = tuple(material.tint)
        program["contrast"] = material.contrast
        program["specular"] = material.specular
        program["roughness"] = material.roughness
        program["scatter"] = tuple(material.scatter)
        program["bump"] = material.bump
        self._device_texture(material.texture).use(0)

    def _device_texture(self, texture: Texture) -> moderngl.Texture:
        known = self._textures.get(texture)
        if known is None:
            height, width = texture.pixels.shape[:2]
            pixels = np.ascontiguousarray(texture.pixels)
            known = self._context.texture((width, height), 3, pixels.tobytes(), alignment=1)
            known.build_mipmaps()
            self._textures[texture] = known
        return known

    def _read(self) -> Layers:
        width, height = self.size_px
        color = np.frombuffer(
            self._resolved.read(components=4, attachment=0, alignment=1), np.uint8
        )
        extra = np.frombuffer(
            self._resolved.read(components=4, attachment=1, dtype="f2"), np.float16
        )
        color = color.reshape(height, width, 4)
        extra = extra.reshape(height, width, 4).astype(np.float32)
        alpha = color[..., 3].astype(np.float32) / 255
        parts = extra[..., :3]
        depth = np.where(alpha > 0, extra[..., 3] / np.maximum(parts.sum(-1), 1e-3), 0)
        return Layers(color[..., :3], alpha, parts, depth.astype(np.float32))


def _corners(mesh: Mesh) -> np.ndarray:
    """Return (3 F, 11) float32: position, normal, uv, part, ambient and a spare of each corner."""
    corners = np.empty((len(mesh.faces), 3, 11), np.float32)
    corners[..., :3] = mesh.vertices[mesh.faces]
    corners[..., 3:6] = vertex_normals(mesh.vertices, mesh.faces)[mesh.faces]
    corners[..., 6:8] = mesh.uvs
    corners[..., 8] = np.broadcast_to(mesh.part, len(mesh.faces))[:, None]
    corners[..., 9] = 1 if mesh.ambient is None else mesh.ambient[mesh.faces]
    corners[..., 10] = 0
    return corners.reshape(-1, 11)


def _projection(matrix: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the clip matrix of intrinsics whose pixel centres lie at integers.

    Row 0 of the picture is drawn at the bottom, where reading starts, so nothing needs flipping.
    """
    clip = np.zeros((4, 4))
    clip[0, :3] = 2 * matrix[0] / width
    clip[1, :3] = 2 * matrix[1] / height
    clip[:2, 2] += 1 / np.array([width, height]) - 1
    clip[2, 2] = (_FAR_M + _NEAR_M) / (_FAR_M - _NEAR_M)
    clip[2, 3] = -2 * _FAR_M * _NEAR_M / (_FAR_M - _NEAR_M)
    clip[3, 2] = 1
    return clip


def _shadow_matrix(meshes: Sequence[Mesh], direction: np.ndarray) -> np.ndarray:
    """Return the key light's orthographic clip matrix, fitted around the first mesh."""
    center = meshes[0].vertices.mean(axis=0)
    radius = 1.1 * np.linalg.norm(meshes[0].vertices - center, axis=1).max()
    helper = np.eye(3)[np.argmin(np.abs(direction))]
    side = np.cross(helper, direction)
    side /= np.linalg.norm(side)
    axes = np.stack([side, np.cross(direction, side), -direction]) / radius
    shadow = np.eye(4)
    shadow[:3, :3], shadow[:3, 3] = axes, -axes @ center
    return shadow


def _columns(matrix: np.ndarray) -> bytes:
    return np.ascontiguousarray(matrix.T, np.float32).tobytes()


def _draw(
    context: moderngl.Context,
    program: moderngl.Program,
    buffer: moderngl.Buffer,
    layout: str,
    *names: str,
) -> None:
    array = context.vertex_array(program, [(buffer, layout, *names)])
    array.render()
    array.release()


def _program(context: moderngl.Context, name: str) -> moderngl.Program:
    shaders = resources.files("cmr_ros.synthesis") / "shaders"
    return context.program(
        vertex_shader=(shaders / f"{name}.vert").read_text(),
        fragment_shader=(shaders / f"{name}.frag").read_text(),
    )


@cache
def _open_context(process: int) -> moderngl.Context:
    """Return the one OpenGL context of this process.

    Renderers share it: buffers and textures are freed whenever Python collects them, by their
    numbers and in whichever context is current, where another renderer's have the same numbers.
    """
    try:
        import moderngl

        # The numbered libraries come with the run-time packages, the plain names only with -dev.
        context = moderngl.create_context(
            standalone=True, backend="egl", require=330, libgl="libGL.so.1", libegl="libEGL.so.1"
        )
    except ModuleNotFoundError:
        raise
    except Exception as error:  # moderngl and glcontext raise bare Exception
        raise InputError(
            f"no OpenGL 3.3 through EGL for rendering ({error}); on Debian or Ubuntu: "
            "apt-get install libegl1 libgl1 libgl1-mesa-dri"
        ) from error
    context.gc_mode = "auto"  # buffers and textures go with their Python objects
    return context
