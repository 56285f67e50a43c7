// Asks the server for one image after the other, and shows what comes: see packets.py.
import { Scene } from "./scene.js";

const ASKED = 2; // images on the way: the next travels while the last is drawn
const HISTORY_S = 10;
const find = (id) => document.getElementById(id);

const image = find("image").getContext("2d");
const cards = new Map(); // track id -> { element, history }
let scene = null;
try {
  scene = new Scene(find("scene"));
} catch (error) {
  console.warn(error);
  find("no-webgl").hidden = false;
}

function connect() {
  const socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/stream`);
  socket.binaryType = "arraybuffer";
  let latest = Promise.resolve();
  socket.onopen = () => {
    say("waiting for images", false);
    for (let i = 0; i < ASKED; i += 1) socket.send("next");
  };
  socket.onmessage = (event) => {
    const packet = unpack(event.data);
    if ("faces" in packet.head) scene?.setFaces(new Uint32Array(packet.numbers));
    else {
      latest = latest.then(() => show(packet)).catch(console.error).then(() => {
        if (socket.readyState === WebSocket.OPEN) socket.send("next");
      });
    }
  };
  socket.onclose = () => {
    say("disconnected, trying again", false);
    setTimeout(connect, 1000);
  };
}

function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const start = 4 + length;
  return {
    head,
    jpeg: new Blob([new Uint8Array(buffer, start, head.jpeg)], { type: "image/jpeg" }),
    numbers: buffer.slice(start + head.jpeg + ((4 - (head.jpeg % 4)) % 4)),
  };
}

async function show({ head, jpeg, numbers }) {
  const bitmap = await createImageBitmap(jpeg);
  // Nothing is asked for while the page is hidden.
  await new Promise(requestAnimationFrame);
  const { canvas } = image;
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
  }
  image.drawImage(bitmap, 0, 0);
  bitmap.close();
  scene?.show(head.hands, new Float32Array(numbers));
  describe(head.hands);
  find("waiting").hidden = true;
  find("note").textContent = head.note;
  find("rate").textContent = head.rate_hz.toFixed(1);
  find("size").textContent = `${head.size[0]} × ${head.size[1]}`;
  say("live", true);
  document.body.dataset.shown = Number(document.body.dataset.shown ?? 0) + 1;
}

function say(text, live) {
  const state = find("state");
  if (state.textContent !== text) state.textContent = text;
  state.classList.toggle("live", live);
}

function describe(hands) {
  const present = new Set(hands.map((hand) => hand.id));
  for (const [id, { element }] of cards) {
    if (!present.has(id)) {
      element.remove();
      cards.delete(id);
    }
  }
  document.querySelector(".empty").hidden = hands.length > 0;
  for (const hand of hands) {
    if (!cards.has(hand.id)) cards.set(hand.id, { element: makeCard(hand), history: [] });
    const { element, history } = cards.get(hand.id);
    const set = (selector, text) => { element.querySelector(selector).textContent = text; };
    const name = hand.side === "unknown" ? "Hand" : `${hand.side} hand`;
    const color = `rgb(${hand.color.join(" ")})`;
    element.querySelector("i").style.background = color;
    set(".side", name[0].toUpperCase() + name.slice(1));
    set(".id", `#${hand.id}`);
    set(".depth b", hand.depth_m.toFixed(3));
    set(".depth small", `± ${(1000 * hand.sigma_m).toFixed(0)} mm`);
    set(".score span", `${(100 * hand.score).toFixed(0)} %`);
    element.querySelector("meter").value = hand.score;
    const now = performance.now() / 1000;
    history.push({ time: now, depth: hand.depth_m, sigma: hand.sigma_m });
    while (history[0].time < now - HISTORY_S) history.shift();
    plot(element.querySelector(".history"), history, color);
  }
}

function makeCard() {
  const element = find("card").content.firstElementChild.cloneNode(true);
  find("hands").append(element);
  return element;
}

// Depth over time with a band of one standard deviation.
function plot(canvas, history, color) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  const low = Math.min(...history.map((at) => at.depth - at.sigma));
  const high = Math.max(...history.map((at) => at.depth + at.sigma));
  const end = history.at(-1).time;
  const x = (at) => width * (1 - (end - at.time) / HISTORY_S);
  const y = (depth) => height - 3 - ((height - 6) * (depth - low)) / Math.max(high - low, 1e-6);
  context.clearRect(0, 0, width, height);
  context.fillStyle = color;
  context.strokeStyle = color;
  context.lineWidth = 2;
  context.globalAlpha = 0.25;
  context.beginPath();
  for (const at of history) context.lineTo(x(at), y(at.depth + at.sigma));
  for (const at of [...history].reverse()) context.lineTo(x(at), y(at.depth - at.sigma));
  context.fill();
  context.globalAlpha = 1;
  context.beginPath();
  for (const at of history) context.lineTo(x(at), y(at.depth));
  context.stroke();
}

connect();
