// The hands in 3D.  Hands come in the camera's optical frame (x right, y down, z forward); here y
// is up and the camera looks along -z.
import * as THREE from "./three/three.module.min.js";
import { OrbitControls } from "./three/OrbitControls.js";

const FLOOR_M = -0.25; // below the camera
const SQUARE_M = 0.1;
const EYE = new THREE.Vector3(0.32, 0.26, 0.62); // from what is looked at
const START = new THREE.Vector3(0, 0, -0.6);

export class Scene {
  #renderer;
  #scene = new THREE.Scene();
  #eye = new THREE.PerspectiveCamera(40, 1, 0.01, 20);
  #controls;
  #space = new THREE.Group();
  #meshes = new Map(); // track id -> mesh
  #index = null; // { right, left }: corners of triangles
  #vertexCount = 0;
  #isFree = false; // somebody has turned the view
  #isStale = true;

  // Throws where the browser has no WebGL.
  constructor(canvas) {
    this.#renderer = new THREE.WebGLRenderer({ canvas, antialias: true });
    this.#renderer.shadowMap.enabled = true;
    this.#scene.background = new THREE.Color(0x1d2226);
    this.#space.rotation.x = Math.PI;
    this.#scene.add(this.#space, ...lights(), ...floor(), camera());
    this.#controls = new OrbitControls(this.#eye, canvas);
    this.#controls.minDistance = 0.1;
    this.#controls.maxDistance = 8;
    this.#controls.addEventListener("start", () => { this.#isFree = true; });
    this.#controls.addEventListener("change", () => { this.#isStale = true; });
    canvas.addEventListener("dblclick", () => this.#reset());
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#reset();
    this.#resize();
    const frame = () => {
      if (this.#isStale) this.#renderer.render(this.#scene, this.#eye);
      this.#isStale = false;
      requestAnimationFrame(frame);
    };
    frame();
  }

  setFaces(corners) {
    const mirrored = corners.slice();
    for (let i = 0; i < corners.length; i += 3) {
      mirrored[i] = corners[i + 2];
      mirrored[i + 2] = corners[i];
    }
    this.#index = {
      right: new THREE.BufferAttribute(corners, 1),
      left: new THREE.BufferAttribute(mirrored, 1),
    };
    this.#vertexCount = corners.reduce((most, corner) => Math.max(most, corner), 0) + 1;
    this.show([], new Float32Array());
  }

  show(hands, vertices) {
    const length = 3 * this.#vertexCount;
    const present = new Set(hands.map((hand) => hand.id));
    for (const [id, mesh] of this.#meshes) {
      if (!present.has(id)) {
        this.#space.remove(mesh);
        mesh.geometry.dispose();
        mesh.material.dispose();
        this.#meshes.delete(id);
      }
    }
    hands.forEach((hand, number) => {
      const mesh = this.#meshes.get(hand.id) ?? this.#add(hand.id);
      const { geometry, material } = mesh;
      geometry.setIndex(hand.side === "left" ? this.#index.left : this.#index.right);
      geometry.attributes.position.array.set(vertices.subarray(number * length, (number + 1) * length));
      geometry.attributes.position.needsUpdate = true;
      geometry.computeVertexNormals();
      geometry.computeBoundingSphere();
      material.color.setRGB(...hand.color.map((channel) => channel / 255), THREE.SRGBColorSpace);
    });
    if (hands.length && !this.#isFree) this.#follow();
    this.#isStale = true;
  }

  #add(id) {
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.BufferAttribute(new Float32Array(3 * this.#vertexCount), 3));
    const mesh = new THREE.Mesh(geometry, new THREE.MeshStandardMaterial({ roughness: 0.65 }));
    mesh.castShadow = true;
    mesh.receiveShadow = true;
    this.#space.add(mesh);
    this.#meshes.set(id, mesh);
    return mesh;
  }

  // Move the eye gently so that it looks at the hands.
  #follow() {
    const box = new THREE.Box3().setFromObject(this.#space);
    const step = box.getCenter(new THREE.Vector3()).sub(this.#controls.target).multiplyScalar(0.08);
    this.#controls.target.add(step);
    this.#eye.position.add(step);
    this.#controls.update();
  }

  #reset() {
    this.#isFree = false;
    this.#controls.target.copy(START);
    this.#eye.position.copy(START).add(EYE);
    this.#controls.update();
  }

  #resize() {
    const { clientWidth, clientHeight } = this.#renderer.domElement;
    this.#renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.#renderer.setSize(clientWidth, clientHeight, false);
    this.#eye.aspect = clientWidth / Math.max(clientHeight, 1);
    this.#eye.updateProjectionMatrix();
    this.#isStale = true;
  }
}

function lights() {
  const sun = new THREE.DirectionalLight(0xffffff, 2.2);
  sun.position.set(0.3, 2, 0);
  sun.target.position.set(0, 0, -0.7);
  sun.castShadow = true;
  sun.shadow.mapSize.set(1024, 1024);
  sun.shadow.radius = 4;
  sun.shadow.normalBias = 0.004;
  Object.assign(sun.shadow.camera, { left: -1.5, right: 1.5, top: 1.5, bottom: -1.5, far: 4 });
  const front = new THREE.DirectionalLight(0xffffff, 0.9);
  front.position.set(0.5, 0.4, 1);
  return [sun, sun.target, front, new THREE.HemisphereLight(0xffffff, 0x50565c, 1.1)];
}

// Squares of 10 cm, and how far it is from the camera.
function floor() {
  const size = 4;
  const grid = new THREE.GridHelper(size, size / SQUARE_M, 0x59636b, 0x363e44);
  grid.position.set(0, FLOOR_M, -size / 2);
  const shadow = new THREE.Mesh(
    new THREE.PlaneGeometry(size, size).rotateX(-Math.PI / 2),
    new THREE.ShadowMaterial({ opacity: 0.45 }),
  );
  shadow.position.copy(grid.position).setY(FLOOR_M - 0.001);
  shadow.receiveShadow = true;
  return [grid, shadow, ...[0.5, 1, 1.5, 2, 3].map(distance)];
}

function distance(meters) {
  const canvas = document.createElement("canvas");
  canvas.width = 128;
  canvas.height = 64;
  const context = canvas.getContext("2d");
  context.font = "40px system-ui, sans-serif";
  context.textAlign = "center";
  context.fillStyle = "#98a3ab";
  context.fillText(`${meters} m`, 64, 46);
  const sprite = new THREE.Sprite(new THREE.SpriteMaterial({ map: new THREE.CanvasTexture(canvas) }));
  sprite.scale.set(0.07, 0.035, 1);
  sprite.position.set(0, FLOOR_M + 0.02, -meters);
  return sprite;
}

// The camera, and which way it looks.
function camera() {
  const corners = [[-1, -0.75], [1, -0.75], [1, 0.75], [-1, 0.75]].map(
    ([x, y]) => new THREE.Vector3(0.03 * x, 0.03 * y, -0.05),
  );
  const points = corners.flatMap((corner, i) => [new THREE.Vector3(), corner, corner, corners[(i + 1) % 4]]);
  const geometry = new THREE.BufferGeometry().setFromPoints(points);
  return new THREE.LineSegments(geometry, new THREE.LineBasicMaterial({ color: 0x98a3ab }));
}
