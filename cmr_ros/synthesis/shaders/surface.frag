#version 330
uniform mat4 to_shadow;
uniform mat3 to_environment;
uniform vec3 harmonics[9];
uniform vec3 key_direction;
uniform vec3 key_color;
uniform vec3 exposure;
uniform sampler2D colors;
uniform sampler2DShadow shadow_map;
uniform vec3 tint;
uniform float contrast;
uniform float specular;
uniform float roughness;
uniform vec3 scatter;
uniform float bump;
in vec3 at;
in vec3 facing;
in vec2 texel;
in float ambient;
flat in int part;
layout(location = 0) out vec4 color;
layout(location = 1) out vec4 coverage;

// Irradiance / pi from direction n of the camera's frame (Ramamoorthi and Hanrahan 2001).
vec3 environment(vec3 n) {
    n = to_environment * n;
    vec3 sum = harmonics[0] + harmonics[1] * n.y + harmonics[2] * n.z + harmonics[3] * n.x
        + harmonics[4] * n.x * n.y + harmonics[5] * n.y * n.z
        + harmonics[6] * (3.0 * n.z * n.z - 1.0) + harmonics[7] * n.x * n.z
        + harmonics[8] * (n.x * n.x - n.y * n.y);
    return max(sum, vec3(0.0));
}

// Share of the key light that arrives: four bilinear taps around the point.
float unshadowed(vec3 n) {
    vec3 s = (to_shadow * vec4(at + 0.004 * n, 1.0)).xyz * 0.5 + 0.5;
    if (any(lessThan(s, vec3(0.0))) || any(greaterThan(s, vec3(1.0)))) return 1.0;
    float sum = 0.0;
    for (int i = 0; i < 4; ++i) {
        vec2 offset = vec2(i % 2 == 0 ? -1.0 : 1.0, i < 2 ? -0.6 : 0.6) / 256.0;
        sum += texture(shadow_map, vec3(s.xy + offset * 1.3, s.z - 0.006));
    }
    return 0.25 * sum;
}

// Relief from the texture's brightness, without tangents (Mikkelsen 2010).
vec3 relief(vec3 n, float height) {
    vec3 dx = dFdx(at), dy = dFdy(at);
    vec3 r1 = cross(dy, n), r2 = cross(n, dx);
    float det = dot(dx, r1);
    vec3 gradient = sign(det) * (dFdx(height) * r1 + dFdy(height) * r2);
    return normalize(max(abs(det), 1e-12) * n - gradient);
}

void main() {
    vec3 albedo = tint * pow(pow(texture(colors, texel).rgb, vec3(2.2)), vec3(contrast));
    vec3 view = -normalize(at);
    vec3 n = normalize(facing);
    if (dot(n, view) < -0.3) n = -n;  // the inside of an open sleeve
    if (bump > 0.0) n = relief(n, bump * sqrt(albedo.g));

    // Light bounces between skin and skin: deep creases turn red, not grey (Jimenez et al. 2016).
    vec3 a = 2.0404 * albedo - 0.3324, b = -4.7951 * albedo + 0.6417, c = 2.7552 * albedo + 0.6903;
    vec3 open_sky = max(vec3(ambient), ((ambient * a + b) * ambient + c) * ambient);

    float cosine = dot(n, key_direction);
    vec3 lambert = max((cosine + scatter) / (1.0 + scatter), 0.0);
    vec3 reach = pow(vec3(unshadowed(n)), 1.0 / (1.0 + 3.0 * scatter));
    vec3 key = key_color * reach;

    vec3 half_way = normalize(view + key_direction);
    float fresnel = specular + (1.0 - specular) * pow(1.0 - max(dot(n, view), 0.0), 5.0) * 0.5;
    float shine = 2.0 / pow(roughness, 4.0) - 2.0;
    float lobe = (shine + 2.0) / 8.0 * pow(max(dot(n, half_way), 0.0), shine);

    vec3 light = albedo * (environment(n) * open_sky + key * lambert);
    light += specular * lobe * key * max(cosine, 0.0);
    light += fresnel * environment(reflect(-view, n)) * ambient * (1.0 - 0.5 * roughness);

    vec3 x = light * exposure;
    vec3 knee = 0.7 + 0.3 * (1.0 - exp(-(x - 0.7) / 0.3));
    color = vec4(pow(mix(x, knee, step(0.7, x)), vec3(1.0 / 2.2)), 1.0);
    coverage = vec4(part == 0, part == 1, part == 2, at.z);
}
