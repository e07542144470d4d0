// What happens when the page opens: both tabs are made, and the address says where to begin.

function showTab(name) {
  for (const each of ["mixture", "features"]) {
    const chosen = each === name;
    $(each).hidden = !chosen;
    $(`tab-${each}`).setAttribute("aria-selected", chosen);
    $(`tab-${each}`).tabIndex = chosen ? 0 : -1;
  }
  tab.dirty = true;
  if (name === "features") {
    showPicked();
    try {
      history.replaceState(null, "", "#features");
    } catch {
      /* as in rememberSoon */
    }
  } else if (tab.run) rememberSoon();
}

function readAddress() {
  Object.assign(tab.state, fromFragment(location.hash));
  const named = presetIn(location.hash);
  setText(
    $("story"),
    named
      ? named.story
      : "Drag the means, change a guidance, play: both panels start from the same points and meet the " +
          "same noise. Or begin with one of the settings above.",
  );
  showControls();
  restart({ play: !calm.matches });
  showTab(location.hash === "#features" && DATA.features ? "features" : "mixture");
}

buildMixtureTab();
const tabs = DATA.features ? ["mixture", "features"] : ["mixture"];
if (DATA.features) buildFeatureTab(DATA.features);
else $("tab-features").hidden = true; // a model without features: the mixture is there always
tabs.forEach((name, k) => {
  $(`tab-${name}`).addEventListener("click", () => showTab(name));
  $(`tab-${name}`).addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const next = tabs[(k + 1) % tabs.length];
    showTab(next);
    $(`tab-${next}`).focus();
  });
});
readAddress();
window.addEventListener("hashchange", readAddress);
requestAnimationFrame(frameOf);
