// Runs the trial page's own script (argv 2) over the OpenAPI document (argv 3) on a document of a few lines, fills in
// every field, presses every button, and prints what was fetched and what was shown below each.
const made = (tag) => ({
  tag, textContent: "", value: "", children: [],
  append(...some) { this.children.push(...some); },
  set innerHTML(_) { throw new Error("innerHTML"); },
});
const [, , script, told] = process.argv;
const byId = new Map();
const document = { createElement: made, getElementById: (id) => byId.get(id) ?? byId.set(id, made(id)).get(id) };
const asked = [];
const answer = (kind, text) => ({
  status: 200, headers: new Map([["Content-Type", kind]]), text: async () => text, json: async () => JSON.parse(text),
});
const fetch = async (url, how) => {
  if (!how) return answer("application/json", told);
  asked.push([how.method, url, how.headers["Content-Type"] ?? "", how.headers.Authorization ?? "", how.body ?? null]);
  return url.endsWith("/token") ? answer("application/json; charset=utf-8", '{"token":"T"}') : answer("text/plain", "success");
};
new Function("document", "fetch", script)(document, fetch);
setTimeout(async () => {
  const shown = [];
  for (const box of byId.get("operations").children) {
    for (const one of box.children.filter(({ tag }) => tag === "input")) one.value = "a/b";
    const area = box.children.find(({ tag }) => tag === "textarea");
    if (area && box.children.some(({ textContent }) => textContent.includes("text/xml"))) area.value = "<xml/>";
    await box.children.find(({ tag }) => tag === "button").onclick();
    shown.push(box.children.at(-1).textContent);
  }
  console.log(JSON.stringify({ asked, shown, codes: byId.get("codes").children.length }));
}, 0);
