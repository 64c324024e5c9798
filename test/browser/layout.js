/*
 * What is wrong with the page as it is laid out here: a list of sentences.
 *
 * Every text must be in the window (or in something that scrolls), none over
 * another, and readable against what is behind it.
 */
(() => {
	const wrong = [];
	const say = (what, element) => wrong.push(what + ": " + element.textContent.trim().slice(0, 60));
	const seen = (element) => {
		const box = element.getBoundingClientRect();
		return box.width > 0 && box.height > 0 ? box : null;
	};
	const scrolls = (element) => element.closest(".wide") !== null;

	/* Elements that have text of their own. */
	const texts = [...document.body.querySelectorAll("*")].filter((e) => e.tagName !== "title" &&
		[...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.textContent.trim() !== ""));

	if (document.documentElement.scrollWidth > innerWidth)
		wrong.push("the page is wider than the window: " + document.documentElement.scrollWidth);
	for (const e of texts) {
		const box = seen(e);
		if (box === null)
			say("not to be seen", e);
		else if (!scrolls(e) && e.closest("svg") === null && (box.left < -1 || box.right > innerWidth + 1))
			say("beyond the window", e);
	}

	/* Lines of text that lie over one another, unless one element is in the other. */
	const boxes = texts.filter((e) => !texts.some((o) => o !== e && e.contains(o)) && !texts.some((o) => o !== e && o.contains(e)))
		.flatMap((e) => [...e.getClientRects()].map((box) => [e, box, (e.closest("svg svg") ?? e).getBoundingClientRect()]))
		.map(([e, box, clip]) => [e, {left: Math.max(box.left, clip.left), right: Math.min(box.right, clip.right),
			top: Math.max(box.top, clip.top), bottom: Math.min(box.bottom, clip.bottom)}]);
	boxes.sort((a, b) => a[1].top - b[1].top);
	for (let i = 0; i < boxes.length; i++)
		for (let j = i + 1; j < boxes.length && boxes[j][1].top < boxes[i][1].bottom - 3; j++) {
			const [a, b] = [boxes[i][1], boxes[j][1]];
			if (a.left < b.right - 2 && b.left < a.right - 2 && !scrolls(boxes[i][0]))
				say("over \"" + boxes[j][0].textContent.trim().slice(0, 40) + "\"", boxes[i][0]);
		}

	/* Boxes of states do not touch. */
	const states = [...document.querySelectorAll(".flow rect")].map((e) => e.getBoundingClientRect());
	for (let i = 1; i < states.length; i++)
		if (states[i].top < states[i - 1].bottom)
			wrong.push("states touch: " + i);

	/* Contrast as WCAG has it: 4.5 for text. */
	const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
	const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
	const colour = (text) => text.match(/[\d.]+/g).map(Number);
	const behind = (element) => {
		const state = element.closest("svg svg");
		if (state !== null)
			return colour(getComputedStyle(state.previousElementSibling).fill);
		for (let e = element; e !== null; e = e.parentElement) {
			const c = colour(getComputedStyle(e).backgroundColor);
			if (c.length === 3 || c[3] > 0)
				return c;
		}
		return [255, 255, 255];
	};
	for (const e of texts) {
		const style = getComputedStyle(e);
		const [a, b] = [light(colour(e.tagName === "text" ? style.fill : style.color)), light(behind(e))];
		const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (contrast < 4.5)
			say("contrast of " + contrast.toFixed(1), e);
	}
	return wrong;
})()
