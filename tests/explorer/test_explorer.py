"""The explorer as a person meets it, in Chromium: keyboard, pointer, touch, widths, address, presets, both tabs."""

import time

import pytest

from browser import chromium, opened, until
from fgs.explorer import classes
from fgs.explorer.page import page as explorer_page
from fgs.images import load_model

pytestmark = pytest.mark.slow
CONTROLS = "button, input, select, canvas[tabindex]"


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def path(run, tmp_path_factory):
    """A page with the classes of a small model, of which three have strips."""
    path = tmp_path_factory.mktemp("explorer") / "explorer.html"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(classes, "ENDS", 3)
        patched.setattr(classes, "CALLS", 7)
        path.write_text(explorer_page(classes.feature_data(load_model(run["features"]))), encoding="utf-8")
    return path


def at_end(page):
    page.click("#end")
    until(page, "tab.run.done && !tab.next && !tab.nextAt && !tab.dirty")


def numbers(page, side):
    cells = [page.inner_text(f"#{measure}-{side}") for measure in ("hit", "mean", "sd", "energy")]
    return [float(cell.replace("−", "-").replace(",", "")) for cell in cells]


@pytest.mark.parametrize("tab", ["mixture", "features"])
def test_every_control_has_a_label_a_title_and_is_reached_by_the_keyboard(browser, path, tab):
    with opened(browser, path, "#features" if tab == "features" else "") as page:
        shown = f"[...document.querySelectorAll('{CONTROLS}')].filter((e) => e.offsetParent && !e.disabled)"
        named = "(e.labels?.length || e.textContent.trim() || e.getAttribute('aria-label'))"
        bare = page.evaluate(f"{shown}.filter((e) => !{named}).map((e) => e.id)")
        assert bare == []
        untitled = page.evaluate(f"{shown}.filter((e) => !e.title && e.tagName !== 'CANVAS').map((e) => e.id)")
        assert untitled == []
        # of the tabs, and of the classes to guide to, one is reached, and the arrow keys go to the others
        one_of = "e.getAttribute('role') === 'tab' && e.tabIndex < 0 || e.type === 'radio' && !e.checked"
        page.evaluate(f"{shown}.forEach((e, k) => (e.dataset.number = k))")
        expected = set(page.evaluate(f"{shown}.filter((e) => !({one_of})).map((e) => e.dataset.number)"))
        reached, invisible = set(), []
        for _ in range(len(expected) + 5):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.dataset.number"))
            if (
                page.evaluate(
                    "document.activeElement !== document.body && getComputedStyle(document.activeElement).outlineStyle"
                )
                == "none"
            ):
                invisible.append(page.evaluate("document.activeElement.id"))
        assert len(expected) > (20 if tab == "mixture" else 8)
        assert expected <= reached
        assert invisible == []


def test_the_keyboard_does_what_the_pointer_does(browser, path):
    with opened(browser, path) as page:
        page.focus("#plane-a")
        before = page.evaluate("tab.state.classes[1]")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowUp")
        after = page.evaluate("tab.state.classes[1]")
        assert after["x"] == pytest.approx(before["x"] + 0.05)
        assert after["y"] == pytest.approx(before["y"] + 0.2)
        page.keyboard.press("3")
        assert page.evaluate("tab.state.target") == 2
        playing = page.evaluate("tab.playing")
        page.keyboard.press("Space")
        assert page.evaluate("tab.playing") != playing
        page.focus("#beta")
        beta = page.evaluate("tab.state.beta")
        page.keyboard.press("ArrowLeft")
        assert page.evaluate("tab.state.beta") < beta
        page.focus("#tab-mixture")
        page.keyboard.press("ArrowRight")
        assert page.is_visible("#map")
        page.focus("#map")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowLeft")
        pointed = page.evaluate("map.pointed")
        page.keyboard.press("Enter")
        assert pointed == page.evaluate("map.picked[0]") >= 0


def place(page, canvas, k):
    """Where the mean of a class is on the screen."""
    code = f"""(() => {{
        const box = $("{canvas}").getBoundingClientRect(), c = tab.state.classes[{k}];
        const [x, y] = onCanvas(shownPart(), box.width, c.x, c.y);
        return [x + box.left, y + box.top];
    }})()"""
    return page.evaluate(code)


def test_means_are_dragged_and_classes_clicked(browser, path):
    with opened(browser, path) as page:
        page.locator("#plane-b").scroll_into_view_if_needed()
        x, y = place(page, "plane-b", 0)
        before, parting = page.evaluate("tab.state.classes[0]"), page.evaluate("tab.run.parting")
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x - 30, y + 20, steps=4)
        page.mouse.up()
        after = page.evaluate("tab.state.classes[0]")
        assert after["x"] < before["x"] - 0.05
        assert after["y"] < before["y"] - 0.03
        assert page.evaluate("tab.state.target") == 0
        assert page.evaluate("tab.run.parting") != parting  # the mark on the σ axis moves with the means
        until(page, f"location.hash.includes('c={after['x']:g},')")


def test_touch(browser, path):
    with opened(browser, path, width=390, height=844, has_touch=True, is_mobile=True) as page:
        page.locator("#plane-a").scroll_into_view_if_needed()
        page.touchscreen.tap(*place(page, "plane-a", 2))
        assert page.evaluate("tab.state.target") == 2
        x, y = place(page, "plane-a", 2)
        finger = page.context.new_cdp_session(page)
        for kind, moved in (("Start", 0), ("Move", 20), ("Move", 40), ("End", None)):
            points = [] if moved is None else [{"x": x - moved, "y": y + moved}]
            finger.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
        scrolled = page.evaluate("window.scrollY")
        assert page.evaluate("tab.state.classes[2].y") < page.evaluate("DEFAULTS.classes[2].y") - 0.1
        assert page.evaluate("window.scrollY") == scrolled
        page.tap("#tab-features")
        page.tap("#pick-b")
        page.locator("#map").scroll_into_view_if_needed()
        code = """(() => {
            const box = $("map").getBoundingClientRect(), [x, y] = placeOnMap(0, box.width, box.height);
            return [x + box.left, y + box.top];
        })()"""
        page.touchscreen.tap(*page.evaluate(code))
        until(page, "map.picked[1] === 0")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("tab", ["mixture", "features"])
def test_widths(browser, path, tmp_path, width, tab):
    with opened(browser, path, "#features" if tab == "features" else "", width=width) as page:
        if tab == "mixture":
            at_end(page)
            a, b = (page.locator(f"#plane-{name}").bounding_box() for name in "ab")
            assert (a["y"] == b["y"]) == (width == 1280)  # side by side, or stacked
        else:
            until(page, "map.strips.complete && map.thumbnails.complete")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        picture = tmp_path / f"{tab}-{width}.png"
        page.screenshot(path=picture, full_page=True)
        assert picture.stat().st_size > 20_000
        canvas = "plane-a" if tab == "mixture" else "map"
        code = """(id) => {
            const canvas = $(id), pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return new Set(new Uint32Array(pixels.data.buffer)).size;
        }"""
        colours = page.evaluate(code, canvas)
        assert colours > 50


def test_the_address_holds_the_settings(browser, path):
    fragment = "#c=-0.5,0.1,0.08,1;0.5,0,0.2,0.5&y=1&a=forcing_constant&b=cfg"
    given = {"omega": 2, "beta": 0.2, "h": 0.1, "sigma0": 1.5, "N": 64, "seed": 12345, "field": "score"}
    fragment += "".join(f"&{name}={value}" for name, value in given.items())
    with opened(browser, path, fragment) as page:
        state = page.evaluate("tab.state")
        assert state["classes"][1] == {"x": 0.5, "y": 0, "width": 0.2, "weight": 0.5}
        assert (state["target"], state["rules"]) == (0, ["forcing_constant", "cfg"])
        assert {name: state[name] for name in given} == given
        assert page.evaluate("JSON.stringify(fromFragment(toFragment(tab.state))) === JSON.stringify(tab.state)")
        assert page.input_value("#rule-b") == "cfg"
    nonsense = "#c=1,2;a,b,c,d;NaN,1,1,1&y=99&a=__proto__&b=constructor&beta=-3&h=1e9&N=-1&seed=x"
    nonsense += "&field=toString&preset=constructor"
    with opened(browser, path, nonsense) as page:
        state, default = page.evaluate("[tab.state, DEFAULTS]")
        assert state == default | {"target": 2, "h": 0.5}


def test_less_motion_is_respected(browser, path):
    with opened(browser, path, reduced_motion="reduce") as page:
        until(page, "tab.run.done && !tab.next && !tab.nextAt")
        assert page.evaluate("[tab.playing, tab.follow, tab.run.N]") == [False, True, 500]
        page.click("#preset-rare")
        assert page.evaluate("tab.playing") is False
    with opened(browser, path, reduced_motion="no-preference") as page:
        assert page.evaluate("tab.playing") is True


@pytest.mark.parametrize("preset", ["narrow", "repaired", "linear", "rare"])
def test_presets_show_what_they_say(browser, path, preset):
    with opened(browser, path, f"#preset={preset}") as page:
        at_end(page)
        (hit_a, _, sd_a, energy_a), (hit_b, mean_b, sd_b, energy_b) = numbers(page, "a"), numbers(page, "b")
        assert page.evaluate(f"PRESETS.{preset}.story.slice(-12)") == page.inner_text("#story")[-12:]
        if preset == "narrow":
            assert sd_b < 0.65
            assert mean_b > 0.4
            assert (hit_b, energy_b > 10) == (1, True)
            assert 0.9 < sd_a < 1.1
        elif preset == "repaired":
            assert 0.9 < sd_b < 1.1
            assert energy_b < 2
        elif preset == "linear":
            assert energy_a > energy_b
            assert hit_a < hit_b or sd_a < 0.95
            page.fill("#x-0", "-0.8")  # 10λ
            at_end(page)
            assert numbers(page, "a")[3] < 2
        else:
            assert hit_a < 0.1
            assert hit_b > 0.99
            assert energy_b < 2


def test_step_and_scrub(browser, path):
    with opened(browser, path, "#N=100", reduced_motion="reduce") as page:
        until(page, "tab.run.done")
        page.click("#play")
        page.click("#play")
        page.evaluate("goTo(0)")
        until(page, "!tab.dirty")
        start = page.inner_text("#now")
        page.click("#step")
        until(page, "!tab.dirty")
        assert page.inner_text("#now") != start
        page.fill("#scrub", "500")
        until(page, "!tab.dirty")
        share = page.evaluate("shareOf(tab.run, tab.run.sigmas[Math.floor(tab.head)])")
        assert share == pytest.approx(0.5, abs=0.02)


def test_scrubbing_stays_where_it_was_put_while_the_run_of_all_points_is_computed(browser, path):
    with opened(browser, path, "#N=4000", reduced_motion="reduce") as page:
        until(page, "tab.run.done && !tab.next && !tab.nextAt && !tab.dirty")
        page.evaluate("change({ beta: 0.15 })")
        until(page, "tab.run.done")
        page.evaluate("goTo(frameAt(tab.run, 0.5))")
        before = page.evaluate("Math.floor(tab.head)")
        until(page, "tab.run.N === 4000 && tab.run.done && !tab.dirty")
        assert page.evaluate("Math.floor(tab.head)") == before > 50


def test_two_sides_of_one_rule_are_one_run(browser, path):
    with opened(browser, path, "#a=exact&b=exact&N=50&beta=0.2") as page:
        at_end(page)
        assert page.evaluate("tab.run.points[0].every((place, i) => place === tab.run.points[1][i])")


def test_frames_are_cheap(browser, path):
    """500 trajectories, both panels, all measures: the work of a frame leaves time for sixty a second."""
    with opened(browser, path) as page:
        page.evaluate("""() => {
            const draw = show;
            window.costs = [];
            show = (now) => {
                const begin = performance.now();
                draw(now);
                costs.push(performance.now() - begin);
            };
        }""")
        time.sleep(3)
        costs = sorted(page.evaluate("costs"))
        assert page.evaluate("tab.run.N") == 500
        assert len(costs) > 40
        assert costs[len(costs) // 2] < 1000 / 60


def test_search_and_strips(browser, path):
    with opened(browser, path, "#features") as page:
        names, ends = page.evaluate("[DATA.features.names, DATA.features.ends]")
        assert len(names) == 4
        assert len(ends) == 3
        assert "%" in page.inner_text("#about-features")
        page.fill("#search", names[ends[2]][:5].upper())
        page.click(f"#found button[title='Choose {names[ends[2]]}']")
        page.fill("#search", "")
        page.click(f"#found button[title='Choose {names[ends[0]]}']")
        text = page.inner_text("#strip-text")
        assert text.startswith(f"Samples along the line from φ of {names[ends[2]]} (left) to φ of {names[ends[0]]}")
        (rest,) = set(range(4)) - set(ends)
        page.evaluate(f"pick({rest})")
        text = page.inner_text("#strip-text")
        assert text.startswith(f"There is no strip between {names[rest]} and {names[ends[0]]}.")
        page.evaluate(f"pick({rest})")
        assert "two different classes" in page.inner_text("#strip-text")
        page.fill("#search", "no such name")
        assert "No class" in page.inner_text("#found")


def test_a_page_without_features(browser, tmp_path):
    path = tmp_path / "toy.html"
    path.write_text(explorer_page(), encoding="utf-8")
    with opened(browser, path, "#features") as page:
        assert not page.is_visible("#tab-features")
        assert page.is_visible("#plane-a")
