(() => {
  "use strict";
  const all = (what, where = document) => [...where.querySelectorAll(what)];
  const steps = all("main>section"), nav = document.querySelector("nav");
  const [back, on] = all("button", nav), slide = nav.querySelector("input"), said = nav.querySelector("span");
  let at = 0;
  const headline = (i) => steps[i].querySelector("h2").textContent.replace(/\s+/g, " ").trim();
  const show = (i, move = true) => {
    at = Math.max(0, Math.min(steps.length - 1, i));
    steps.forEach((one, k) => one.classList.toggle("off", k !== at));
    slide.value = at;
    slide.setAttribute("aria-valuetext", headline(at));
    said.textContent = `${at + 1} of ${steps.length}`;
    back.disabled = at === 0;
    on.disabled = at === steps.length - 1;
    if (!move) return;
    history.replaceState(null, "", `#${steps[at].id}`);
    scrollTo(0, 0);
    steps[at].querySelector("h2").focus({ preventScroll: true });
  };
  const linked = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    return target ? steps.indexOf(target.closest("main>section")) : -1;
  };
  if (steps.length > 1) {
    document.body.classList.add("js");
    nav.hidden = false;
    slide.max = steps.length - 1;
    back.onclick = () => show(at - 1);
    on.onclick = () => show(at + 1);
    slide.oninput = () => { show(+slide.value); slide.focus(); };
    onhashchange = () => { if (linked() >= 0) show(linked()); };
    addEventListener("keydown", (key) => {
      if (key.target.matches("input,select,.w,pre") || key.altKey || key.ctrlKey || key.metaKey) return;
      const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: steps.length - 1 }[key.key];
      if (to !== undefined) { key.preventDefault(); show(to); }
    });
    addEventListener("load", () => scrollTo(0, 0));
    show(Math.max(linked(), 0), linked() > 0);
  }
  all("form").forEach((form) => {
    const field = form.querySelector("input,select"), said = form.querySelector("output");
    const answer = form.querySelector("details:last-of-type");
    const plain = (text) => text.toLowerCase().replace(/,/g, " ").trim().replace(/\s+/g, " ");
    const hold = (off) => {
      for (let one = form.nextElementSibling; one; one = one.nextElementSibling) {
        one.classList.toggle("off", off);
        if (!off && one.matches("form")) break;
      }
    };
    hold(true);
    form.querySelector("button").hidden = false;
    answer.ontoggle = () => { if (answer.open) hold(false); };
    form.onsubmit = (event) => {
      event.preventDefault();
      const value = plain(field.value), right = value === plain(form.dataset.v);
      const why = all("[data-w]", form).find((one) => plain(one.dataset.w) === value);
      if (value) said.textContent = right ? "Right." : why ? `Not ${value}: ${why.textContent}` : `Not ${value}.`;
      if (right) answer.open = true;
    };
  });
  all(".race").forEach((race) => {
    const rows = all("g.r", race), bar = document.createElement("input"), text = document.createElement("output");
    const draw = () => {
      rows.forEach((row, k) => row.classList.toggle("late", k > +bar.value));
      text.textContent = ` step ${+bar.value + 1} of ${rows.length}: ${rows[bar.value].dataset.s}`;
      bar.setAttribute("aria-valuetext", text.textContent);
    };
    Object.assign(bar, { type: "range", min: 0, max: rows.length - 1, value: rows.length - 1, oninput: draw });
    bar.setAttribute("aria-label", "steps of the schedule");
    draw();
    race.querySelector("figcaption").append(document.createElement("br"), bar, text);
  });
})();
