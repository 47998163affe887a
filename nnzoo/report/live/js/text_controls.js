// Controls of a text: a field, the tokens that the network reads, and for a language model a button to go on.

CONTROLS.text = function (model, show, view) {
  const input = model.input, field = element("textarea", { rows: 4, maxlength: 20000, spellcheck: "false" });
  const tokens = element("p", { class: "live-tokens", "aria-label": "Tokens" });
  const changed = () => show(field.value);
  field.addEventListener("input", changed);
  view.listeners.push((found) => showTokens(input, tokens, found.tokens));
  const parts = [
    sampleSelect(model, (sample) => { field.value = sample.raw; changed(); }),
    labelled(input.tokenizer === "numbers" ? "Tokens, as integers" : "Your text", field), tokens,
  ];
  if (input.isLanguage) {
    const more = (symbol) => {
      const end = input.byLine && symbol === model.classes.length - 1;
      const text = end ? "\n" : model.classes[symbol];
      const space = input.tokenizer === "word" && field.value && !/\s$/.test(field.value) && !end && !/^[.,;:!?)\]}%]$/.test(text);
      field.value += (space ? " " : "") + text;
      changed();
    };
    parts.splice(2, 0, element("p", {},
      element("button", { type: "button", onclick: () => more(likeliest(view.last)) }, "Add the likeliest symbol"), " ",
      element("button", { type: "button", onclick: () => more(sampled(view.last)) }, "Add a random symbol")));
  }
  field.value = model.samples.length ? model.samples[0].raw.slice(0, 400) : "";
  changed();
  return parts.filter((part) => part);
};

// The likeliest symbol and a random one by its probability. The unknown symbol, number 0, is never added.
function likeliest(found) {
  if (!found || !found.steps) return 1;
  const shares = found.steps[found.steps.length - 1].probabilities;
  return shares.indexOf(Math.max(...shares.slice(1)), 1);
}

function sampled(found) {
  if (!found || !found.steps) return 1;
  const shares = found.steps[found.steps.length - 1].probabilities;
  let rest = Math.random() * (1 - shares[0]);
  for (let i = 1; i < shares.length; i++) {
    rest -= shares[i];
    if (rest <= 0) return i;
  }
  return shares.length - 1;
}

function showTokens(input, line, tokens) {
  const shownTokens = tokens.slice(-400), unknown = tokens.filter((each) => !each.known).length;
  const cut = tokens.filter((each) => !each.read).length;
  line.replaceChildren(...shownTokens.map(({ symbol, known, read }) => element("span",
    { class: `live-token${known ? "" : " unknown"}${read ? "" : " unread"}`, title: known ? null : "not in the vocabulary" },
    isolated(symbol === " " ? "␣" : symbol === "\n" ? "↵" : symbol, 40))));
  line.append(element("span", { class: "caption" }, `${tokens.length} tokens`
    + (unknown ? `, ${unknown} not in the vocabulary (dashed)` : "") + (cut ? `, ${cut} past the longest training text (not read)` : "")));
}
