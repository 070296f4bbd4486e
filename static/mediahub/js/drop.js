// The drop area of a plain upload form: dropped and pasted files go into its file field.
for (const area of document.querySelectorAll("[data-drop]")) {
  const field = area.querySelector("input[type=file]");
  const take = (files) => {
    if (!files || files.length === 0) return;
    field.files = files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  };
  area.addEventListener("dragover", (event) => {
    event.preventDefault();
    area.dataset.over = "";
  });
  area.addEventListener("dragleave", () => delete area.dataset.over);
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    delete area.dataset.over;
    take(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => take(event.clipboardData.files));
  field.form.addEventListener("submit", () => {
    const button = field.form.querySelector("button[type=submit]");
    button.disabled = true;
    button.textContent = "Uploading…";
  });
  // Coming back by the browser's history finds the form ready again.
  window.addEventListener("pageshow", () => {
    const button = field.form.querySelector("button[type=submit]");
    button.disabled = false;
    button.textContent = button.dataset.label;
  });
}
