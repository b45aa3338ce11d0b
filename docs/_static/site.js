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

// What a cell prints keeps its columns on a phone; without any, such as a message of an error, it is broken there too.
window.addEventListener("load", () => {
    for (const printed of document.querySelectorAll(".bd-article .cell_output pre")) {
        if (!/\S {2,}\S/.test(printed.textContent)) printed.classList.add("sentences");
    }
});

// Long names in tables may be broken where a part of them ends.
window.addEventListener("load", () => {
    for (const code of document.querySelectorAll(".bd-article table code .pre")) {
        const parts = code.textContent.split(/(?<=[_/.=(-])(?=[^_/.=(-])/);
        code.replaceChildren(...parts.flatMap((part, k) => (k ? [document.createElement("wbr"), part] : [part])));
    }
});

// What the theme and Sphinx leave to those who read by ear or by keyboard: names, and a way into boxes that scroll.
window.addEventListener("load", () => {
    for (const each of document.querySelectorAll(".search-button__button, details > summary[aria-label]")) {
        each.setAttribute("aria-label", each.textContent.trim().replace(/\s+/g, " ") || "Search");
    }
    for (const toggle of document.querySelectorAll("summary:has(> .toctree-toggle)")) {
        toggle.setAttribute("aria-label", "Pages of this section");
    }
    for (const each of document.querySelectorAll("dt.sig dl, dt.sig dd")) each.setAttribute("role", "presentation");
    for (const box of document.querySelectorAll(".bd-article *")) {
        const scrolls = box.scrollWidth > box.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
        if (scrolls) box.tabIndex = 0;
    }
});
