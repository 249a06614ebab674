// What every binding needs: arguments unpacked with an error that names them, SystemError turned into a
// JavaScript error, and what the addon keeps for one environment (the main thread or a worker).
#pragma once

#include "system-error.h"

#include <memory>
#include <napi.h>
#include <string>
#include <unordered_set>

namespace doorbell {

class ControllerObject;
class UringObject;
class RamDiskObject;

/** The native objects that are open in one environment, closed in a safe order when it ends. */
struct OpenObjects {
  std::unordered_set<UringObject*> urings;
  std::unordered_set<ControllerObject*> controllers;
  std::unordered_set<RamDiskObject*> ramDisks;
};

/** Kept for one environment: nothing of the addon but the SIGBUS registry is shared between environments. */
struct Instance {
  Napi::FunctionReference listener;
  Napi::FunctionReference messageSocket;
  Napi::FunctionReference ramDisk;
  Napi::FunctionReference controller;
  Napi::FunctionReference uring;
  /** Shared with the objects themselves: their finalizers may run after the instance is gone. */
  std::shared_ptr<OpenObjects> open = std::make_shared<OpenObjects>();

  static Instance& of(Napi::Env env) { return *env.GetInstanceData<Instance>(); }
};

/** An Error with `code`, `errno` (positive) and `syscall`. */
Napi::Error toError(Napi::Env env, const SystemError& error);

/** Runs `operation`; a SystemError or an exhausted memory becomes a JavaScript exception. */
template <class Operation>
auto guarded(Napi::Env env, Operation operation) {
  try {
    return operation();
  } catch (const SystemError& error) {
    throw toError(env, error);
  } catch (const std::bad_alloc&) {
    throw toError(env, SystemError(ENOMEM, "malloc"));
  }
}

// Each of these throws a TypeError that names the argument when the value is of the wrong type, or a
// RangeError when it is out of range.

std::uint32_t toU32(const Napi::Value& value, const char* name);
std::int32_t toFd(const Napi::Value& value, const char* name);
/** A whole number of 0 to 2^53 - 1. */
std::uint64_t toSize(const Napi::Value& value, const char* name);
/** A BigInt of 0 to 2^64 - 1. */
std::uint64_t toU64(const Napi::Value& value, const char* name);
double toNumber(const Napi::Value& value, const char* name);
bool toBoolean(const Napi::Value& value, const char* name);
/** A string without NUL characters. */
std::string toText(const Napi::Value& value, const char* name);
Napi::Object toObject(const Napi::Value& value, const char* name);

/** The memory of a Uint8Array. */
struct Bytes {
  std::uint8_t* data;
  std::size_t length;
};
Bytes toBytes(const Napi::Value& value, const char* name);

// Registration, one function a file.
void registerSocket(Napi::Env env, Napi::Object exports);
void registerEventfd(Napi::Env env, Napi::Object exports);
void registerFile(Napi::Env env, Napi::Object exports);
void registerRamDisk(Napi::Env env, Napi::Object exports);
void registerController(Napi::Env env, Napi::Object exports);
void registerUring(Napi::Env env, Napi::Object exports);

} // namespace doorbell
