const BY_CODE: Record<string, string> = {
  "payload.empty": "The device sent nothing. Where that is meant, discard it.",
  "payload.too_large": "Let the device send less at a time, or ask the operator for a larger limit.",
  "payload.too_deep": "Let the device send flatter messages.",
  "payload.too_many": "Let the device send fewer values at a time.",
  "device.unknown":
    "Let the topic name the device, set the integration's topic prefix, or say with the decoder custom where in the payload its id stands.",
  "device.invalid": "Let the device use an id without spaces and wildcards, of at most 128 characters.",
  "path.unmatched": "Change the decoder's paths so that they fit this message.",
  "decoder.unavailable": "Retry it in some seconds: expressions could not be evaluated at that moment.",
  "decoder.unknown": "Choose a decoder that there is.",
  "decoder.settings": "Choose settings that the decoder takes.",
  "decoder.alias_unknown":
    "Ask the edge node for its births (Node Control/Rebirth): what it sends from then on can be read.",
};

const BY_FAMILY: Record<string, string> = {
  payload:
    "The device sends another format than the decoder reads: choose the decoder that fits, or change what the device sends.",
  value: "Let the device send finite numbers, short texts, or true and false.",
  metric: "Let the device name its values otherwise, or rename them with the decoder custom.",
  decoder: "Mend the decoder's expression: it can be tried on this very message.",
};

/** The one thing to do about a reason, before it is read again. */
export function nextStepFor(reason: string): string | undefined {
  return BY_CODE[reason] ?? BY_FAMILY[reason.split(".", 1)[0] ?? ""];
}
