// The page's side of the labelling widget. Python says what to show (`view`); a press is sent with the question that
// was on the page, so that Python can tell a press that came too late. Texts are set as text, never as HTML.

const KEYS = { a: "A", arrowleft: "A", b: "B", arrowright: "B", t: "tie", s: "skip", u: "undo" };
const HINT = "While this frame is lit, these keys work too: A or \u2190, B or \u2192, T, S, U.";
const NO_ANSWER = "The kernel has not answered, so this may not be stored. If it is busy, wait. If it is gone, "
  + "run this cell again: what was stored is kept.";
const PATIENCE = 3000; // milliseconds without an answer
const DOUBLE_CLICK = 400; // its second half can't be meant for the question that has just come
const LONG_PROMPT = 160; // characters

function make(tag, name, text = "", attributes = {}) {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function button(verdict, text, key) {
  const made = make("button", `rmlib-${verdict}`, text, { type: "button", "data-verdict": verdict });
  made.append(make("kbd", "", key, { "aria-hidden": "true" }));
  return made;
}

function card(name, key) {
  const made = make("section", "rmlib-response", "", { "aria-label": `Response ${name}` });
  const text = make("p", "rmlib-text");
  made.append(make("h3", "", name), text, button(name, `${name} is better`, key));
  return { made, text };
}

function render({ model, el }) {
  const root = make("div", "rmlib-label", "", { tabindex: "-1" }); // a click on its texts brings the keys here
  const status = make("p", "rmlib-status", "", { role: "status" });
  const bar = make("div", "rmlib-bar");
  const filled = bar.appendChild(make("div", ""));
  const alarm = make("p", "rmlib-alarm", "", { role: "alert" });
  const prompt = make("p", "rmlib-prompt");
  const [left, right] = [card("A", "\u2190"), card("B", "\u2192")];
  const pair = make("div", "rmlib-pair");
  pair.append(left.made, right.made);
  const others = make("div", "rmlib-others");
  others.append(button("tie", "Tie", "T"), button("skip", "Skip", "S"), button("undo", "Undo", "U"));
  root.append(status, bar, alarm, prompt, pair, others, make("p", "rmlib-hint", HINT));
  el.append(root);

  let drawn = 0, question, clock;

  function draw() {
    const view = model.get("view");
    clearTimeout(clock);
    root.removeAttribute("aria-busy");
    status.textContent = `${view.done} of ${view.total} labelled. ${view.told}`;
    filled.style.width = `${(100 * view.done) / view.total}%`;
    alarm.textContent = view.alarm;
    [prompt.textContent, left.text.textContent, right.text.textContent] = [view.prompt, view.left, view.right];
    const long = view.prompt.length > LONG_PROMPT;
    prompt.classList.toggle("rmlib-long", long);
    prompt.tabIndex = long ? 0 : -1; // so that it can be scrolled from the keyboard
    prompt.scrollTop = prompt.scrollHeight; // what is answered is the last turn of a conversation
    const finished = view.question === null;
    root.classList.toggle("rmlib-finished", finished);
    if (finished && root.contains(document.activeElement)) root.focus(); // the button that had it is hidden
    if (view.question !== question) pair.animate?.([{ opacity: 0.2 }, { opacity: 1 }], 250); // seen to be a new one
    [question, drawn] = [view.question, Date.now()];
  }

  function press(verdict) {
    if (root.hasAttribute("aria-busy")) return;
    root.setAttribute("aria-busy", "true");
    clock = setTimeout(() => {
      root.removeAttribute("aria-busy");
      alarm.textContent = NO_ANSWER;
    }, PATIENCE);
    model.send({ question, verdict });
  }

  root.addEventListener("click", (event) => {
    const pressed = event.target.closest("button");
    if (pressed && !(event.detail > 1 && Date.now() - drawn < DOUBLE_CLICK)) press(pressed.dataset.verdict);
  });

  // JupyterLab looks for shortcuts that suit the element with the focus, before that element sees the key. Keys without
  // a modifier are this widget's: "a" must not add a cell. Others, such as Shift+Enter, stay JupyterLab's.
  function claim(event) {
    if (!root.contains(event.target)) return;
    const plain = !(event.ctrlKey || event.altKey || event.metaKey || event.shiftKey);
    event.target.toggleAttribute("data-lm-suppress-shortcuts", plain);
    const verdict = KEYS[event.key.toLowerCase()];
    if (!plain || !(verdict || event.repeat && ["Enter", " "].includes(event.key))) return;
    event.preventDefault();
    if (verdict && !event.repeat) press(verdict); // a key that is held down presses once
  }
  window.addEventListener("keydown", claim, true);

  model.on("change:view", draw);
  draw();
  return () => {
    window.removeEventListener("keydown", claim, true);
    model.off("change:view", draw);
  };
}

export default { render };
