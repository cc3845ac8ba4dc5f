// Typesets, fits type and pictures to their pages, and then starts reveal.js.
// Type in pixels, of text and of code: the largest that its page has room for.
const TYPE = [[40, 34], [40, 28], [36, 24], [32, 22], [30, 22], [30, 20], [30, 18], [27, 18], [24, 18]];
// A picture is as large as its page allows, within these shares of the size it has in the notebook. At the smallest,
// type of 14 points is still 14 px high on a page of 720. A caption is as large as the picture's type, 20 px, where the
// picture beside it keeps the notebook's size.
const LARGEST = 1.16, CAPTIONS = [[20, 0.99], [16, 0.7]];

const fits = (page) => page.scrollHeight <= page.clientHeight && page.scrollWidth <= page.clientWidth;

function hasLongLine(page) {
  page.classList.add("unwrapped");
  const found = [...page.querySelectorAll("pre")].some((code) => code.scrollWidth > code.clientWidth);
  page.classList.remove("unwrapped");
  return found;
}

function fit(page) {
  const pictures = [...page.querySelectorAll(".jp-OutputArea img")];
  const resize = (share) => pictures.forEach((picture) => {
    picture.style.width = `${Math.round(share * picture.getAttribute("width"))}px`;
  });
  resize(1);
  page.style.setProperty("--caption", `${CAPTIONS[0][0]}px`);
  for (const [text, code] of TYPE) {
    page.style.setProperty("--text", `${text}px`);
    page.style.setProperty("--code", `${code}px`);
    if (fits(page) && (code === 18 || !hasLongLine(page))) break;
  }
  for (const [caption, smallest] of CAPTIONS) {
    page.style.setProperty("--caption", `${caption}px`);
    for (let share = LARGEST; share >= smallest; share -= 0.02) {
      resize(share);
      if (fits(page)) return;
    }
  }
}

async function start() {
  await MathJax.startup.promise;
  await MathJax.typesetPromise([document.querySelector(".slides")]);
  await Promise.all([...document.images].map((picture) => picture.decode()));
  document.querySelectorAll(".slides > section > section").forEach(fit);
  document.body.classList.remove("measuring");
  await Reveal.initialize({
    width: 1280, height: 720, margin: 0, center: false, hash: true, transition: "none", slideNumber: "c/t", progress: true,
    navigationMode: "linear", plugins: [RevealNotes],
  });
}

start();
