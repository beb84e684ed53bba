// Runs the page's own script (argv 2) over messages (argv 3, JSON) on a document of a few lines, and prints what it
// drew: each element as [tag, class, text, children]. What would parse text as HTML does not exist here, and throws.
const made = (tag) => ({
  tag, className: "", textContent: "", children: [], hidden: false, value: "", form: {},
  append(...some) { this.children.push(...some); },
  replaceChildren(...some) { this.children = some; },
  set innerHTML(_) { throw new Error("innerHTML"); },
});
const [, , script, messages, search] = process.argv;
const byId = new Map();
const document = {
  hidden: false,
  createElement: made,
  getElementById: (id) => byId.get(id) ?? byId.set(id, made(id)).get(id),
};
const asked = [];
const fetch = async (url) => {
  asked.push(url);
  if (messages === "down") throw new Error("down");
  return { ok: true, text: async () => messages };
};
const ticks = [];
new Function("document", "location", "fetch", "setInterval", script)(document, { search }, fetch, (one) => ticks.push(one));
setTimeout(async () => {
  const drawn = byId.get("messages")?.children.length ?? 0, first = byId.get("messages")?.children[0];
  await ticks[0]();
  const shape = (one) => [one.tag, one.className, one.textContent, one.children.map(shape)];
  const told = {
    cards: (byId.get("messages")?.children ?? []).map(shape), asked, state: byId.get("state").textContent,
    isKept: drawn === 0 || byId.get("messages").children[0] === first, hasMore: !byId.get("more").hidden,
  };
  console.log(JSON.stringify(told));
}, 0);
