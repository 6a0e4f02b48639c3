import { ActionIcon, Burger, Kbd, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { BookOpen, LogOut, Moon, Search, Sun } from "lucide-react";
import { lazy, Suspense, useEffect, useRef } from "react";
import { useSession } from "@/api/session";
import { Tip } from "@/ui/Tip";
import { NotAllowed } from "./fallbacks";
import { useKeptFocus } from "./keptFocus";
import { Logo } from "./Logo";
import { leave } from "./leave";
import { NAVIGATION, placeOf } from "./navigation";
import { OrganizationName } from "./OrganizationName";
import css from "./Shell.module.css";
import { useEnded } from "./useEnded";

// Dialogs are loaded when they are opened: the first page stays small.
const Jump = lazy(() => import("./Jump"));
const MenuDrawer = lazy(() => import("./MenuDrawer"));
const SignInAgain = lazy(() => import("./SignInAgain"));

/** The frame around every page of whoever is signed in. */
export function Shell() {
  const [menu, { toggle, close }] = useDisclosure(false);
  const [jump, { open: openJump, close: closeJump }] = useDisclosure(false);
  const path = useRouterState({ select: (state) => state.location.pathname });
  const shell = useRef<HTMLDivElement>(null);
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useHotkeys([["mod+K", openJump]], []);
  useKeptFocus(shell, main);
  const [ended, begun] = useEnded();
  // biome-ignore lint/correctness/useExhaustiveDependencies: whenever the page changes
  useEffect(() => {
    close();
    if (first.current) first.current = false;
    else main.current?.focus({ preventScroll: true }); // so that a screen reader and Tab begin at the new page
  }, [path]);
  return (
    <div ref={shell} className={css.shell}>
      {/* biome-ignore lint/a11y/useValidAnchor: it leads to a place of this page */}
      <a
        href="#main"
        className={css.skip}
        onClick={(event) => {
          event.preventDefault(); // the address stays what it is: it is copied, and has a state of its own
          main.current?.focus();
        }}
      >
        Skip to the content
      </a>
      <header className={css.bar}>
        <Burger
          opened={menu}
          onClick={toggle}
          size="sm"
          aria-label={menu ? "Close the menu" : "Open the menu"}
        />
        <Logo />
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Go to…" onClick={openJump}>
          <Search size={19} />
        </ActionIcon>
      </header>
      <aside className={css.side}>
        <Menu openJump={openJump} />
      </aside>
      <Suspense>
        {menu && (
          <MenuDrawer onClose={close}>
            <div className={css.drawer}>
              <Menu openJump={openJump} />
            </div>
          </MenuDrawer>
        )}
        {jump && <Jump onClose={closeJump} />}
        {ended && <SignInAgain onSigned={begun} />}
      </Suspense>
      <main id="main" ref={main} tabIndex={-1} className={css.main}>
        <Allowed path={path} />
      </main>
    </div>
  );
}

/** The page, or why this key does not see it. */
function Allowed({ path }: { path: string }) {
  const session = useSession();
  const place = placeOf(path);
  if (path === "/organizations" && !session.operator) return <NotAllowed title="Organizations" scopes={[]} />;
  if (place?.scopes.length && !session.can(...place.scopes)) {
    return <NotAllowed title={place.label} scopes={place.scopes} />;
  }
  return <Outlet />;
}

function Menu({ openJump }: { openJump: () => void }) {
  const session = useSession();
  const mac = navigator.platform.startsWith("Mac");
  return (
    <div className={css.menu}>
      <div className={css.head}>
        <Logo />
        <OrganizationName />
        {session.organization !== "" && (
          <button type="button" className={css.search} onClick={openJump}>
            <Search size={15} aria-hidden />
            <span>Go to…</span>
            <Kbd size="xs">{mac ? "⌘ K" : "Ctrl K"}</Kbd>
          </button>
        )}
      </div>
      <nav aria-label="Pages" className={css.nav}>
        {session.organization !== "" &&
          NAVIGATION.map((group) => {
            const places = group.places.filter(
              (place) => !place.scopes.length || session.can(...place.scopes),
            );
            if (!places.length) return null;
            return (
              <div key={group.label ?? ""} className={css.group}>
                {group.label && <div className={css.groupLabel}>{group.label}</div>}
                {places.map((place) => (
                  <Link
                    key={place.to}
                    to={place.to}
                    className={css.link}
                    activeOptions={{ exact: place.to === "/" }}
                  >
                    <place.icon size={17} className={css.linkIcon} />
                    {place.label}
                  </Link>
                ))}
              </div>
            );
          })}
      </nav>
      <div className={css.foot}>
        <SchemeToggle />
        <Tip label="API reference">
          <ActionIcon
            component="a"
            href="/docs"
            target="_blank"
            variant="subtle"
            color="gray"
            size="lg"
            aria-label="API reference"
          >
            <BookOpen size={17} />
          </ActionIcon>
        </Tip>
        <span className={css.spring} />
        <Tip label="Sign out" at="end">
          <ActionIcon
            variant="subtle"
            color="gray"
            size="lg"
            aria-label="Sign out"
            onClick={() => void leave()}
          >
            <LogOut size={17} />
          </ActionIcon>
        </Tip>
      </div>
    </div>
  );
}

export function SchemeToggle() {
  const { setColorScheme } = useMantineColorScheme({ keepTransitions: true }); // else it writes a <style>
  const dark = useComputedColorScheme("light", { getInitialValueInEffect: false }) === "dark";
  const label = dark ? "Light colours" : "Dark colours";
  return (
    <Tip label={label} at="start">
      <ActionIcon
        variant="subtle"
        color="gray"
        size="lg"
        aria-label={label}
        onClick={() => setColorScheme(dark ? "light" : "dark")}
      >
        {dark ? <Sun size={17} /> : <Moon size={17} />}
      </ActionIcon>
    </Tip>
  );
}
