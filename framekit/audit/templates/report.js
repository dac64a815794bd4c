for (const range of document.querySelectorAll(".compare input")) {
  const show = () => range.parentElement.style.setProperty("--at", range.value + "%");
  range.addEventListener("input", show);
  show();
}
for (const command of document.querySelectorAll(".command")) {
  command.addEventListener("click", () => getSelection().selectAllChildren(command));
}
