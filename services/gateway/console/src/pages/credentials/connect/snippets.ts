import { ARDUINO, ESP_IDF } from "./examples/boards";
import { BROWSER, NODE } from "./examples/javascript";
import { AIOMQTT, PAHO } from "./examples/python";
import { CURL, MOSQUITTO } from "./examples/shell";
import type { Snippet } from "./filled";

/** Code for every kind of device, in the order of their tabs. */
export const SNIPPETS: Snippet[] = [MOSQUITTO, PAHO, AIOMQTT, NODE, BROWSER, ARDUINO, ESP_IDF, CURL];
