#version 330
uniform mat4 to_clip;
in vec3 position;
in vec3 normal;
in vec2 uv;
in vec3 part_ambient;
out vec3 at;
out vec3 facing;
out vec2 texel;
out float ambient;
flat out int part;

void main() {
    gl_Position = to_clip * vec4(position, 1.0);
    at = position;
    facing = normal;
    texel = uv;
    part = int(part_ambient.x + 0.5);
    ambient = part_ambient.y;
}
