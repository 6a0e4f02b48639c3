import { Anchor, type AnchorProps, Button, type ButtonProps } from "@mantine/core";
import { createLink } from "@tanstack/react-router";
import type { AnchorHTMLAttributes, Ref } from "react";

type Plain = Omit<AnchorHTMLAttributes<HTMLAnchorElement>, keyof AnchorProps | keyof ButtonProps> & {
  ref?: Ref<HTMLAnchorElement>;
};

function PlainAnchor(props: AnchorProps & Plain) {
  return <Anchor inherit {...props} />;
}

function PlainButton(props: ButtonProps & Plain) {
  return <Button component="a" {...props} />;
}

/** A link to a page, in text. */
export const PageLink = createLink(PlainAnchor);

/** A link to a page that looks like a button. */
export const PageButton = createLink(PlainButton);
