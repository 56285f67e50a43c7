#version 330
uniform mat4 to_shadow;
in vec3 position;

void main() {
    gl_Position = to_shadow * vec4(position, 1.0);
}
