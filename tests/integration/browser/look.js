// Looks at the pages in the frames as a person does, and writes what it found as JSON.
function parts(colour) {
  const found = colour.match(/[\d.]+/g).map(Number);
  return { rgb: found.slice(0, 3), alpha: found.length > 3 ? found[3] : 1 };
}

function luminance(rgb) {
  const [r, g, b] = rgb.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
function contrast(one, other) {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function background(element, view) {
  const layers = []; // the nearest first, down to one that nothing shines through
  for (let node = element; node; node = node.parentElement) {
    const box = node.namespaceURI.endsWith("svg") && node.querySelector(":scope > rect");
    const style = view.getComputedStyle(box || node);
    layers.push(parts(box ? style.fill : style.backgroundColor));
    if (layers.at(-1).alpha === 1) break;
  }
  return layers.reduceRight(
    (below, { rgb, alpha }) => below.map((value, at) => rgb[at] * alpha + value * (1 - alpha)), [255, 255, 255]);
}

function faint(page, view) {
  const found = [];
  const walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || !element.getClientRects().length) continue;
    const style = view.getComputedStyle(element);
    const ink = element.namespaceURI.endsWith("svg") ? style.fill : style.color;
    const ratio = contrast(parts(ink).rgb, background(element, view));
    if (ratio < 4.5) found.push(`${ratio.toFixed(1)}: ${text.slice(0, 60)}`);
  }
  return found;
}

function look(frame) {
  const page = frame.contentDocument, view = frame.contentWindow;
  const all = (what) => [...page.querySelectorAll(what)];
  for (const one of all("details")) one.open = true;
  return {
    dark: view.matchMedia("(prefers-color-scheme: dark)").matches,
    text: page.body.innerText,
    images: all("img").length,
    broken: all("img").filter((one) => !one.complete || !one.naturalWidth).map((one) => one.src),
    tooWide: page.documentElement.scrollWidth - page.documentElement.clientWidth,
    faint: faint(page, view),
    headings: all("h1,h2,h3,h4,h5,h6").map((one) => Number(one.tagName[1])),
    links: all("a[href]").map((one) => one.getAttribute("href")),
    unnamed: all("a[href],img,svg").filter((one) => !(one.innerText || one.getAttribute("aria-label")
      || one.alt || one.querySelector("title,img[alt]"))).length,
    elsewhere: all("[src],[href]").map((one) => one.src || one.href || "").filter(
      (one) => /^https?:/.test(one) && !page.querySelector(`a[href="${one}"]`)),
  };
}

addEventListener("load", () => {
  const found = {};
  for (const frame of document.querySelectorAll("iframe")) found[frame.id] = look(frame);
  document.getElementById("found").textContent = JSON.stringify(found);
});
