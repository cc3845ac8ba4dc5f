// Typesets, fits pictures to their pages, and only then lets reveal.js start.
// A picture is as large as its page allows, within these shares of the size it has in the notebook. At the smallest,
// type of 14 points is still 14 px high on a page of 720.
const LARGEST = 1.16, SMALLEST = 0.7;

function fitPictures(page) {
  const pictures = [...page.querySelectorAll(".jp-OutputArea img")];
  for (let share = LARGEST; pictures.length && share >= SMALLEST; share -= 0.02) {
    pictures.forEach((picture) => { picture.style.width = `${Math.round(share * picture.getAttribute("width"))}px`; });
    if (page.scrollHeight <= page.clientHeight) break;
  }
}

async function start() {
  await MathJax.startup.promise;
  await MathJax.typesetPromise([document.querySelector(".slides")]);
  await Promise.all([...document.images].map((picture) => picture.decode()));
  document.querySelectorAll(".slides > section > section").forEach(fitPictures);
  document.body.classList.remove("measuring");
  await Reveal.initialize({
    width: 1280, height: 720, margin: 0, center: false, hash: true, transition: "none", slideNumber: "c/t",
    navigationMode: "linear", plugins: [RevealNotes],
  });
}

start();
