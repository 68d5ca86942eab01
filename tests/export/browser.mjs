// What a real browser makes of pages: `node browser.mjs FOLDER CHROMIUM PAGE…` prints a JSON object, page -> findings.
// FOLDER is where playwright-core and axe-core are installed.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const [folder, executablePath, ...pages] = process.argv.slice(2);
const require = createRequire(`${folder}/package.json`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

let served = [];
const server = createServer((request, response) => {
  served.push(decodeURIComponent(request.url));
  if (!pages.includes(served.at(-1))) return response.writeHead(404).end();
  response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
  response.end(readFileSync(decodeURIComponent(request.url)));
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const base = `http://127.0.0.1:${server.address().port}`;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });

const opened = async (page, options, hash = "") => {
  const tab = await browser.newPage({ bypassCSP: options.bypassCSP ?? false, ...options });
  const errors = [];
  tab.on("console", (message) => { if (message.type() !== "log") errors.push(message.text()); });
  tab.on("pageerror", (error) => errors.push(String(error)));
  await tab.goto(`${base}${encodeURI(page)}${hash}`);
  return { tab, errors };
};
const visible = (tab) =>
  tab.evaluate(() => [...document.querySelectorAll("main>section")].filter((one) => one.offsetHeight > 0).map((one) => one.id));
const violations = async (page, colorScheme, all) => {
  const { tab } = await opened(page, { colorScheme, bypassCSP: true, javaScriptEnabled: true });
  if (all) await tab.evaluate(() => document.querySelectorAll(".off").forEach((one) => one.classList.remove("off")));
  await tab.evaluate(axe);
  const found = await tab.evaluate(async () => (await window.axe.run()).violations);
  await tab.close();
  return found.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`);
};
const overflow = (tab) => tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

const findings = {};
for (const page of pages) {
  const found = (findings[page] = {});
  served = [];
  const first = await opened(page, {});
  found.sections = await first.tab.evaluate(() => [...document.querySelectorAll("main>section")].map((one) => one.id));
  found.shown = await visible(first.tab);
  const keys = [];
  for (const key of ["ArrowRight", "ArrowRight", "ArrowLeft", "End", "Home"]) {
    await first.tab.keyboard.press(key);
    keys.push([(await visible(first.tab)).join(), await first.tab.evaluate(() => [document.activeElement.tagName, location.hash,
      document.querySelector("nav input").getAttribute("aria-valuetext")].join(" "))]);
  }
  found.keys = keys;
  found.errors = first.errors;
  found.requests = [...served];
  await first.tab.close();

  const linked = await opened(page, {}, `#${found.sections.at(-1)}`);
  found.linked = await visible(linked.tab);
  await linked.tab.close();

  const still = await opened(page, { javaScriptEnabled: false });
  found.without = await still.tab.locator("main>section:visible").count();
  await still.tab.emulateMedia({ media: "print" });
  found.printed = (await still.tab.pdf({ format: "A4" })).toString("latin1").match(/\/Type\s*\/Page\b/g).length;
  found.breaks = await still.tab.locator("main>section").evaluateAll((all) => all.map((one) => getComputedStyle(one).breakBefore));
  found.errors.push(...still.errors);
  await still.tab.close();

  found.overflow = [];
  for (const width of [320, 360, 768, 1280]) {
    const narrow = await opened(page, { javaScriptEnabled: false, viewport: { width, height: 800 } });
    found.overflow.push(await overflow(narrow.tab));
    await narrow.tab.close();
  }
  found.axe = [];
  for (const scheme of ["light", "dark"]) found.axe.push(...await violations(page, scheme, true));

  const form = await opened(page, {});
  found.held = await form.tab.evaluate(() => {
    const one = document.querySelector("form[data-v]");
    return one && [...one.parentNode.children].filter((other) => other.classList.contains("off")).length;
  });
  found.answers = await form.tab.evaluate(() => {
    const one = document.querySelector("form[data-v]");
    if (!one) return null;
    const said = [];
    for (const value of ["9999", one.querySelector("[data-w]")?.dataset.w ?? "", one.dataset.v]) {
      one.querySelector("input,select").value = value;
      one.requestSubmit(one.querySelector("button"));
      said.push(one.querySelector("output").textContent);
    }
    return [...said, one.querySelector("details:last-of-type").open];
  });
  found.revealed = await form.tab.evaluate(() => {
    const one = document.querySelector("form[data-v]");
    return one && one.nextElementSibling === null ? null : one && one.nextElementSibling.classList.contains("off");
  });
  found.race = await form.tab.evaluate(() => {
    const race = document.querySelector(".race");
    if (!race) return null;
    const bar = race.querySelector("input");
    bar.value = 0;
    bar.dispatchEvent(new Event("input"));
    return [race.querySelectorAll("g.r").length, race.querySelectorAll("g.r.late").length, bar.getAttribute("aria-valuetext")];
  });
  found.errors.push(...form.errors);
  await form.tab.close();

  const forced = await opened(page, { forcedColors: "active", reducedMotion: "reduce" });
  found.moves = await forced.tab.evaluate(() => [...document.querySelectorAll("*")].filter((one) => {
    const style = getComputedStyle(one);
    return style.animationName !== "none" || style.transitionDuration !== "0s" || style.scrollBehavior === "smooth";
  }).length);
  found.errors.push(...forced.errors);
  await forced.tab.close();
}
await browser.close();
server.close();
console.log(JSON.stringify(findings));
