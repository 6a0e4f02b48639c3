import { type Filled, place, quoted, type Snippet } from "../filled";

/** A certificate as a C string, a line each. */
const lines = (pem: string): string =>
  pem
    .trim()
    .split("\n")
    .map((line) => `    ${quoted(`${line}\n`)}`)
    .join("\n");

const authority = (one: Filled): string => `static const char CA[] =\n${lines(one.ca ?? "")};\n\n`;

// ESP-IDF's own way to join a network, as its examples do it.
const WIFI =
  // biome-ignore lint/suspicious/noTemplateCurlyInString: ESP-IDF reads it
  'dependencies: {protocol_examples_common: {path: "${IDF_PATH}/examples/common_components/protocol_examples_common"}}';

export const ARDUINO: Snippet = {
  id: "arduino",
  label: "Arduino, ESP32",
  steps: [
    ["Board", "esp32 by Espressif Systems, 3 or later"],
    ["Library", "PubSubClient"],
  ],
  chooses: true,
  holdsCa: true,
  elsewhere: true,
  code: (one, secure) => {
    const at = place(one, secure);
    const net = secure ? "WiFiClientSecure" : "WiFiClient";
    const known = `extern const uint8_t CA_BEGIN[] asm("_binary_x509_crt_bundle_start");
extern const uint8_t CA_END[] asm("_binary_x509_crt_bundle_end");

`;
    const trusted = one.ca ? "net.setCACert(CA);" : "net.setCACertBundle(CA_BEGIN, CA_END - CA_BEGIN);";
    return `#include <WiFi.h>
${secure ? "#include <WiFiClientSecure.h>\n" : ""}#include <PubSubClient.h>

${secure ? (one.ca ? authority(one) : known) : ""}${net} net;
PubSubClient client(net);

void setup() {
  WiFi.begin("<network>", "<password of the network>");
  while (WiFi.status() != WL_CONNECTED) delay(200);
${secure ? `  ${trusted}\n` : ""}  client.setServer(${quoted(at.host)}, ${at.port});
  client.setBufferSize(1024);
}

void loop() {
  if (!client.connected() &&
      !client.connect(${quoted(one.clientId)}, ${quoted(one.username)},
                      ${quoted(one.password)})) {
    delay(5000);
    return;
  }
  client.loop();
  static unsigned long sent = 0;
  if (millis() - sent < 5000) return;
  sent = millis();
  String payload = "{\\"temperature\\": " + String(20 + random(50) / 10.0) + "}";
  client.publish(${quoted(one.topic)}, payload.c_str());
}
`;
  },
};

export const ESP_IDF: Snippet = {
  id: "esp-idf",
  label: "ESP-IDF",
  steps: [
    ["In main/idf_component.yml, for Wi-Fi", WIFI],
    ["Name your network", "idf.py menuconfig"],
    ["Run", "idf.py flash monitor"],
  ],
  chooses: true,
  holdsCa: true,
  elsewhere: true,
  code: (one, secure) => {
    const at = place(one, secure);
    const bundle = secure && !one.ca;
    const trusted = one.ca
      ? "\n    .broker.verification.certificate = CA,"
      : "\n    .broker.verification.crt_bundle_attach = esp_crt_bundle_attach,";
    return `#include <stdio.h>

${bundle ? '#include "esp_crt_bundle.h"\n' : ""}#include "esp_event.h"
#include "esp_netif.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "mqtt_client.h"
#include "nvs_flash.h"
#include "protocol_examples_common.h"

${secure && one.ca ? authority(one) : ""}static const esp_mqtt_client_config_t CONFIG = {
    .broker.address.uri = "${at.scheme}://${at.host}:${at.port}",${secure ? trusted : ""}
    .credentials.client_id = ${quoted(one.clientId)},
    .credentials.username = ${quoted(one.username)},
    .credentials.authentication.password = ${quoted(one.password)},
};

void app_main(void) {
    ESP_ERROR_CHECK(nvs_flash_init());
    ESP_ERROR_CHECK(esp_netif_init());
    ESP_ERROR_CHECK(esp_event_loop_create_default());
    ESP_ERROR_CHECK(example_connect());

    esp_mqtt_client_handle_t client = esp_mqtt_client_init(&CONFIG);
    ESP_ERROR_CHECK(esp_mqtt_client_start(client));
    for (int n = 0;; n++) {
        char payload[40];
        snprintf(payload, sizeof payload, "{\\"temperature\\": %.1f}", 20 + n % 10 / 2.0);
        esp_mqtt_client_publish(client, ${quoted(one.topic)}, payload, 0, 1, 0);
        vTaskDelay(pdMS_TO_TICKS(5000));
    }
}
`;
  },
};
