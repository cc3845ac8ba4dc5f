// The page's side of the labelling widget. Python says what to show (`view`); a press is sent with the question that
// was on the page, so that Python can tell a press that came too late. Texts are set as text, never as HTML.

const KEYS = { a: "A", arrowleft: "A", b: "B", arrowright: "B", t: "tie", s: "skip", u: "undo" };
const SLOW = 3000; // milliseconds without an answer, after which the reader is told
const DOUBLE_CLICK = 400; // the second half of a double click can't be meant for the question that has just come

function make(tag, name, text = "") {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}

function button(verdict, text, key) {
  const made = make("button", `verdict-${verdict}`, text);
  made.type = "button";
  made.dataset.verdict = verdict;
  made.append(" ", make("kbd", "", key));
  return made;
}

function response(name, verdict) {
  const card = make("section", "response");
  card.setAttribute("aria-label", `Response ${name}`);
  const text = make("p", "text");
  card.append(make("h3", "", name), text, verdict);
  return { card, text };
}

function render({ model, el }) {
  const root = make("div", "rmlib-label");
  root.tabIndex = -1; // a click on its texts brings the keys here
  const progress = make("p", "progress");
  progress.setAttribute("role", "status");
  const bar = make("progress", "");
  bar.setAttribute("aria-hidden", "true");
  const prompt = make("p", "prompt");
  prompt.tabIndex = 0; // so that a long one can be scrolled from the keyboard
  const left = response("A", button("A", "A is better", "\u2190"));
  const right = response("B", button("B", "B is better", "\u2192"));
  const pair = make("div", "pair");
  pair.append(left.card, right.card);
  const others = make("div", "others");
  others.append(button("tie", "Tie", "T"), button("skip", "Skip", "S"), button("undo", "Undo", "U"));
  const alarm = make("p", "alarm");
  alarm.setAttribute("role", "alert");
  root.append(progress, bar, prompt, pair, others, alarm);
  el.append(root);

  let drawn = 0, slow;

  function draw() {
    const view = model.get("view");
    clearTimeout(slow);
    root.removeAttribute("aria-busy");
    progress.textContent = `${view.done} of ${view.total} labelled. ${view.told}`;
    [bar.max, bar.value] = [view.total, view.done];
    [prompt.textContent, left.text.textContent, right.text.textContent] = [view.prompt, view.left, view.right];
    prompt.scrollTop = prompt.scrollHeight; // of a conversation the last turn is what is answered
    root.classList.toggle("finished", view.question === null);
    alarm.textContent = view.alarm;
    drawn = Date.now();
  }

  function press(verdict) {
    if (root.hasAttribute("aria-busy")) return;
    root.setAttribute("aria-busy", "true");
    slow = setTimeout(() => {
      root.removeAttribute("aria-busy");
      alarm.textContent = "The kernel has not answered, so this may not be stored. If it is busy, wait; if it is gone, "
        + "run this cell again: what was stored is kept.";
    }, SLOW);
    model.send({ question: model.get("view").question, verdict });
  }

  root.addEventListener("click", (event) => {
    const pressed = event.target.closest("button");
    if (pressed && !(event.detail > 1 && Date.now() - drawn < DOUBLE_CLICK)) press(pressed.dataset.verdict);
  });

  // JupyterLab's shortcuts look at the element that has the focus, before it sees the key. Keys without a modifier are
  // this widget's: "a" must not add a cell. Others, such as Shift+Enter, stay JupyterLab's.
  function claim(event) {
    if (!root.contains(event.target)) return;
    const plain = !(event.ctrlKey || event.altKey || event.metaKey || event.shiftKey);
    event.target.toggleAttribute("data-lm-suppress-shortcuts", plain);
    const verdict = plain && KEYS[event.key.toLowerCase()];
    if (verdict || event.repeat) event.preventDefault(); // a key that is held down presses once
    if (verdict && !event.repeat) press(verdict);
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
