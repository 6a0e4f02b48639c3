import { Modal } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { Search } from "lucide-react";
import { type KeyboardEvent, useState } from "react";
import { useSession } from "@/api/session";
import css from "./Jump.module.css";
import { NAVIGATION, type Place } from "./navigation";

/** Ctrl-K: goes to a page by some letters of its name. */
export default function Jump({ onClose }: { onClose: () => void }) {
  return (
    <Modal
      opened
      onClose={onClose}
      withCloseButton={false}
      padding={0}
      size={520}
      yOffset="12vh"
      centered={false}
      attributes={{ content: { "aria-label": "Go to" } }}
    >
      <JumpList onClose={onClose} />
    </Modal>
  );
}

function JumpList({ onClose }: { onClose: () => void }) {
  const session = useSession();
  const navigate = useNavigate();
  const [wanted, setWanted] = useState("");
  const [active, setActive] = useState(0);
  const found = NAVIGATION.flatMap((group) => group.places).filter(
    (place) => (!place.scopes.length || session.can(...place.scopes)) && matches(place, wanted),
  );
  const go = (place: Place | undefined) => {
    if (!place) return;
    onClose();
    void navigate({ to: place.to });
  };
  const onKey = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && found.length) setActive((active + step + found.length) % found.length);
    else if (event.key === "Enter") go(found[active]);
    else return;
    event.preventDefault();
  };
  return (
    <div>
      <div className={css.field}>
        <Search size={18} aria-hidden />
        <input
          className={css.input}
          placeholder="Go to a page"
          role="combobox"
          aria-label="Go to a page"
          aria-expanded
          aria-controls="jump-list"
          aria-activedescendant={found[active] ? `jump-${active}` : undefined}
          value={wanted}
          data-autofocus
          onChange={(event) => {
            setWanted(event.currentTarget.value);
            setActive(0);
          }}
          onKeyDown={onKey}
        />
      </div>
      <div id="jump-list" role="listbox" aria-label="Pages" className={css.list}>
        {found.map((place, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field has the keys
          <div
            key={place.to}
            id={`jump-${index}`}
            role="option"
            aria-selected={index === active}
            tabIndex={-1}
            className={css.option}
            onClick={() => go(place)}
            onMouseMove={() => setActive(index)}
          >
            <place.icon size={17} />
            {place.label}
          </div>
        ))}
      </div>
      {found.length === 0 && <p className={css.none}>No page of that name.</p>}
    </div>
  );
}

function matches(place: Place, wanted: string): boolean {
  const words = `${place.label} ${place.words ?? ""}`.toLowerCase();
  return wanted
    .toLowerCase()
    .split(/\s+/)
    .every((part) => words.includes(part));
}
