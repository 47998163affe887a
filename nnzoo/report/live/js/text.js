// Text -> tokens of the vocabulary of the training texts.

// Raw input is a text. A language model reads all of it, other networks the first `maxLength` symbols.
READERS.text = function (input, raw) {
  const symbols = symbolsOf(input, raw), problems = [], warnings = [];
  const kept = input.maxLength ? symbols.slice(0, input.maxLength) : symbols;
  const known = tokenNumbers(input);
  let tokens = kept.map((symbol) => (input.tokenizer === "numbers" ? Number(symbol) : known.get(symbol) || 1));
  const shown = symbols.map((symbol, i) => ({ symbol, known: known.has(symbol), read: i < kept.length }));
  if (input.tokenizer === "numbers") {
    const wrong = kept.find((symbol) => !/^\d+$/.test(symbol) || Number(symbol) > input.largest);
    shown.forEach((each) => { each.known = true; });
    if (wrong !== undefined) problems.push({ text: `'${wrong}' is not a token: expected integers from 0 to ${input.largest}.` });
    if (!kept.length) problems.push({ text: "Type at least one token." });
  } else if (input.isLanguage) {
    if (input.byLine) tokens = [0, ...tokens];
    if (!tokens.length) problems.push({ text: "Type at least one symbol." });
  } else {
    if (!tokens.length) warnings.push({ text: "There is no symbol: the network reads one unknown symbol." });
    tokens = tokens.length ? tokens : [1];
  }
  const data = new Float64Array(input.maxLength || tokens.length);
  data.set(tokens);
  const made = Object.assign(tensor([data.length], data), { valid: tokens.length });
  return { tensor: made, isTokens: true, problems, warnings, tokens: shown };
};

function tokenNumbers(input) {
  input.numbers = input.numbers || new Map(input.symbols.map((symbol, i) => [symbol, i + 2]));
  return input.numbers;
}

// A word is a run of letters and digits, with apostrophes inside; every other sign except spaces is a word, too.
function symbolsOf(input, text) {
  if (input.tokenizer === "numbers") return text.split(/[\s,]+/).filter((part) => part);
  let whole = text.replace(/\r\n?/g, "\n");
  if (input.lowercase) whole = whole.toLowerCase();
  if (input.isLanguage && input.byLine) whole = whole.slice(whole.lastIndexOf("\n") + 1);
  if (input.tokenizer === "char") return Array.from(whole);
  return whole.match(/[\p{L}\p{N}_]+(?:['’][\p{L}\p{N}_]+)*|[^\p{L}\p{N}_\s\u001c-\u001f\u0085]|\ufeff/gu) || [];
}
