// Arguments and errors at the border to JavaScript.

#include "binding.h"

#include <cmath>
#include <cstring>

namespace doorbell {

Napi::Error toError(Napi::Env env, const SystemError& error) {
  char buffer[128];
  const char* text = strerror_r(error.number, buffer, sizeof buffer);
  const char* code = errorName(error.number);
  Napi::Error result =
      Napi::Error::New(env, std::string(code) + ": " + std::string(text) + ", " + std::string(error.call));
  result.Set("code", Napi::String::New(env, code));
  result.Set("errno", Napi::Number::New(env, error.number));
  result.Set("syscall", Napi::String::New(env, error.call));
  return result;
}

namespace {

[[noreturn]] void mistyped(const Napi::Value& value, const char* name, const char* expected) {
  throw Napi::TypeError::New(value.Env(), std::string(name) + " must be " + expected);
}

[[noreturn]] void outOfRange(const Napi::Value& value, const char* name, const char* expected) {
  throw Napi::RangeError::New(value.Env(), std::string(name) + " must be " + expected);
}

} // namespace

double toNumber(const Napi::Value& value, const char* name) {
  if (!value.IsNumber()) mistyped(value, name, "a number");
  return value.As<Napi::Number>().DoubleValue();
}

std::uint32_t toU32(const Napi::Value& value, const char* name) {
  const double number = toNumber(value, name);
  if (!(number >= 0 && number <= 0xffffffff) || number != std::trunc(number)) {
    outOfRange(value, name, "a whole number from 0 to 4294967295");
  }
  return static_cast<std::uint32_t>(number);
}

std::int32_t toFd(const Napi::Value& value, const char* name) {
  const double number = toNumber(value, name);
  if (!(number >= 0 && number <= 0x7fffffff) || number != std::trunc(number)) {
    outOfRange(value, name, "a file descriptor");
  }
  return static_cast<std::int32_t>(number);
}

std::uint64_t toSize(const Napi::Value& value, const char* name) {
  const double number = toNumber(value, name);
  if (!(number >= 0 && number <= 9007199254740991.0) || number != std::trunc(number)) {
    outOfRange(value, name, "a whole number from 0 to 2^53 - 1");
  }
  return static_cast<std::uint64_t>(number);
}

std::uint64_t toU64(const Napi::Value& value, const char* name) {
  if (!value.IsBigInt()) mistyped(value, name, "a bigint");
  bool lossless = false;
  const std::uint64_t number = value.As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless) outOfRange(value, name, "from 0n to 2n ** 64n - 1n");
  return number;
}

bool toBoolean(const Napi::Value& value, const char* name) {
  if (!value.IsBoolean()) mistyped(value, name, "a boolean");
  return value.As<Napi::Boolean>().Value();
}

std::string toText(const Napi::Value& value, const char* name) {
  if (!value.IsString()) mistyped(value, name, "a string");
  std::string text = value.As<Napi::String>().Utf8Value();
  if (text.find('\0') != std::string::npos) mistyped(value, name, "a string without NUL characters");
  return text;
}

Napi::Object toObject(const Napi::Value& value, const char* name) {
  if (!value.IsObject()) mistyped(value, name, "an object");
  return value.As<Napi::Object>();
}

Bytes toBytes(const Napi::Value& value, const char* name) {
  // Asked directly: the view may lie over a SharedArrayBuffer, which the wrapper's own accessors do not all
  // take.
  napi_typedarray_type type;
  std::size_t length = 0;
  void* data = nullptr;
  if (!value.IsTypedArray() ||
      napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    mistyped(value, name, "a Uint8Array");
  }
  return {static_cast<std::uint8_t*>(data), length};
}

} // namespace doorbell
