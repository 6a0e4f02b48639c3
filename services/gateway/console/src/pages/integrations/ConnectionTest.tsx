import { Anchor, Button, TextInput } from "@mantine/core";
import { Check, Circle, LoaderCircle, X } from "lucide-react";
import { Fragment, useEffect, useRef, useState } from "react";
import { told } from "@/api/client";
import { asProblem, type Problem } from "@/api/problem";
import type { Step } from "@/api/schema";
import { ProblemAlert } from "@/ui/Feedback";
import css from "./ConnectionTest.module.css";
import { FieldWords } from "./FieldWords";
import type { Protocol } from "./form";

const WORDS: Record<string, string> = {
  dns: "Find the address",
  address: "Is the address allowed?",
  tcp: "Connect",
  tls: "TLS",
  websocket: "WebSocket",
  mqtt: "MQTT: sign in",
  subscribe: "Subscribe",
  probe: "A message there and back",
};

interface ConnectionTestProps {
  address: string;
  body: () => Record<string, unknown>;
  protocol: Protocol;
  onProblem?: (problem: Problem | null) => void;
  disabled?: boolean;
}

type State = "idle" | "running" | "passed" | "failed";

/** Each step as it happens, with what was seen; where one fails, its code and the one thing to do next. */
export function ConnectionTest({ address, body, protocol, onProblem, disabled }: ConnectionTestProps) {
  const [steps, setSteps] = useState<Step[]>([]);
  const [state, setState] = useState<State>("idle");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [probe, setProbe] = useState("");
  const [planned, setPlanned] = useState<string[]>([]);
  const abort = useRef<AbortController | null>(null);
  useEffect(() => () => abort.current?.abort(), []);
  const run = async () => {
    abort.current?.abort();
    const control = new AbortController();
    abort.current = control;
    const topic = probe.trim();
    setSteps([]);
    setPlanned(plan(protocol, Boolean(topic)));
    setProblem(null);
    onProblem?.(null);
    setState("running");
    let ended = false;
    try {
      await told(
        address,
        { ...body(), ...(topic && { probe_topic: topic }) },
        ({ event, data }) => {
          if (event === "step") setSteps((before) => [...before, data as Step]);
          else if (event === "problem") throw asProblem(data);
          else if (event === "result") {
            ended = true;
            setState((data as { ok: boolean }).ok ? "passed" : "failed");
          }
        },
        control.signal,
      );
      if (!ended) throw new TypeError("the test ended without a result");
    } catch (error) {
      if (control.signal.aborted) return;
      const found = asProblem(error);
      setProblem(found);
      onProblem?.(found);
      setState("failed");
    }
  };
  const last = steps.at(-1);
  // A broker is asked for each filter on its own, so the step of subscriptions may come again.
  const left = planned.slice(last ? planned.indexOf(last.name) + 1 : 0);
  const broken = steps.find((step) => !step.ok);
  return (
    <div className={css.test}>
      <TextInput
        className={css.probe}
        label="Send a message there and back, by this topic (optional)"
        description="Some brokers grant what they do not deliver: only a message shows it. Whoever subscribes to the topic sees it."
        inputWrapperOrder={["label", "input", "description", "error"]}
        placeholder="plant/hybridmq-test"
        value={probe}
        onChange={(event) => setProbe(event.currentTarget.value)}
        error={problem?.of("probe_topic")}
      />
      <Button variant="default" onClick={() => void run()} loading={state === "running"} disabled={disabled}>
        Test the connection
      </Button>
      <ol className={css.steps} aria-live="polite" aria-label="Steps of the test">
        {steps.map((step, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: steps only come
          <Seen key={index} step={step} />
        ))}
        {state !== "passed" &&
          !problem &&
          left.map((name, index) => (
            <Ahead key={name} name={name} running={state === "running" && index === 0} over={!!broken} />
          ))}
      </ol>
      {state === "passed" && <p className={css.passed}>The connection works.</p>}
      {state === "failed" && broken && (
        <p className={css.broken}>It does not connect yet. Do what the failed step says, and test again.</p>
      )}
      {problem && problem.errors.length === 0 && <ProblemAlert error={problem} />}
    </div>
  );
}

function plan(protocol: Protocol, probe: boolean): string[] {
  const encrypted = protocol === "mqtts" || protocol === "wss";
  const websocket = protocol === "ws" || protocol === "wss";
  const among = { tls: encrypted, websocket, probe } as Record<string, boolean>;
  return Object.keys(WORDS).filter((name) => among[name] ?? true);
}

function Seen({ step }: { step: Step }) {
  return (
    <li className={`${css.step} ${step.ok ? css.ok : css.failed}`}>
      <span className={css.sign} aria-hidden>
        {step.ok ? <Check size={14} strokeWidth={2.8} /> : <X size={14} strokeWidth={2.8} />}
      </span>
      <div className={css.words}>
        <div className={css.head}>
          <strong>{WORDS[step.name] ?? step.name}</strong>
          <span className={css.aside}>{step.ok ? "passed" : "failed"}</span>
          {step.topic && <code className="mono break">{step.topic.filter}</code>}
          <span className={css.took}>{step.duration_ms < 1 ? "<1" : Math.round(step.duration_ms)} ms</span>
        </div>
        <div className={css.seen}>
          <Warned text={step.seen} />
        </div>
        {step.next_action && (
          <div className={css.next}>
            <FieldWords text={step.next_action} />{" "}
            <Anchor href={`/problems/${step.code}`} target="_blank" inherit c="inherit" underline="always">
              {step.code}
            </Anchor>
          </div>
        )}
      </div>
    </li>
  );
}

const LOUD = /^[A-Z][A-Z0-9 ]{8,}/;

/** What was seen; a warning, which the API says in capitals, stands out. */
function Warned({ text }: { text: string }) {
  const parts = text.split("; ");
  return parts.map((part, index) => (
    <Fragment key={part}>
      {index > 0 && "; "}
      {LOUD.test(part) ? (
        <strong className={css.loud}>
          <FieldWords
            text={part.charAt(0) + part.slice(1).replace(/^[A-Z0-9 ]+/, (loud) => loud.toLowerCase())}
          />
        </strong>
      ) : (
        part
      )}
    </Fragment>
  ));
}

interface AheadProps {
  name: string;
  running: boolean;
  over: boolean;
}

/** A step that is not over: it runs, waits its turn, or was never come to. */
function Ahead({ name, running, over }: AheadProps) {
  return (
    <li className={`${css.step} ${css.ahead} ${running ? css.running : ""}`}>
      <span className={css.sign} aria-hidden>
        {running ? <LoaderCircle size={14} /> : <Circle size={8} />}
      </span>
      <div className={css.words}>
        {WORDS[name]} {over && <span className={css.seen}>not tried</span>}
      </div>
    </li>
  );
}
