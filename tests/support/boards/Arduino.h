#pragma once
#include <cstddef>
#include <cstdint>
class String {
 public:
  String(const char *text);
  String(double value, unsigned decimals = 2);
  const char *c_str() const;
};
String operator+(const String &left, const String &right);
void delay(unsigned long ms);
unsigned long millis();
long random(long below);
