// On a phone a row of panels keeps a size that can be read, and scrolls in its own box.
window.addEventListener("load", () => {
    if (window.innerWidth > 600) return;
    for (const picture of document.querySelectorAll(".bd-article .cell_output img, .bd-article figure img")) {
        if (picture.naturalWidth > 1.8 * picture.naturalHeight) {
            picture.classList.add("wide");
            picture.parentElement.classList.add("scrolls");
        }
    }
});
