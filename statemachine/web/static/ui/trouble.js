// The number of servers in trouble in the tab's title and icon, to be seen from other tabs.

import { troubleIn } from "../state/severity.js";
import { formatNumber } from "./format.js";
import { label } from "./i18n.js";

const SIZE = 64;
const BADGE_HEIGHT = 38;
const MOST = 99;
const icon = document.querySelector("link[rel=icon]");
const plain = icon.href;

let shown = 0;
let image = null;

/** `counts`: state → number of servers. */
export function showTrouble(counts) {
  const trouble = troubleIn(counts);
  const title = `comfywarm · ${label("title")}`;
  document.title = trouble > 0 ? `(${formatNumber(trouble)}) ${title}` : title;
  if (trouble === shown) return;
  shown = trouble;
  showIcon();
}

async function showIcon() {
  if (shown === 0) {
    icon.href = plain;
    return;
  }
  image ??= Object.assign(new Image(SIZE, SIZE), { src: plain });
  await image.decode().catch(() => null);
  if (shown > 0) icon.href = drawn(shown > MOST ? `${MOST}+` : String(shown));
}

/** Draw the icon with a number over its lower part. */
function drawn(text) {
  const canvas = Object.assign(document.createElement("canvas"), { width: SIZE, height: SIZE });
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, SIZE, SIZE);
  context.fillStyle = "#ab2a35";
  context.beginPath();
  context.roundRect(0, SIZE - BADGE_HEIGHT, SIZE, BADGE_HEIGHT, BADGE_HEIGHT / 4);
  context.fill();
  Object.assign(context, { fillStyle: "#ffffff", font: "bold 36px sans-serif", textAlign: "center" });
  context.fillText(text, SIZE / 2, SIZE - 6, SIZE);
  return canvas.toDataURL();
}
