(() => {
  const keys = window.readingRoomKeys;
  const shown = (id) => { const e = document.getElementById(id); return e && e.offsetParent; };
  const inputs = (id) => document.querySelectorAll(`#${id} input`);
  const press = (input) => { if (input) input.click(); };
  const tick = (region) => press(document.querySelector(`#regions input[name="${region}"]`));
  document.addEventListener("click", (event) => {
    const part = event.target.closest("#map g");
    if (part) tick(part.dataset.region);
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=radio]):not([type=checkbox]), textarea");
    if (typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === "enter") {
      const button = ["save", "start"].find(shown);
      if (!button || event.target.closest("#pause, a")) return;
      event.preventDefault();
      press(document.getElementById(button));
    } else if (shown("save")) {
      if (key === "n") press(inputs("call")[0]);
      else if (key === "y") press(inputs("call")[1]);
      else if (/^[1-5]$/.test(key)) press(inputs("sure")[key - 1]);
      else if (keys[key]) tick(keys[key]);
    }
  });
})();
