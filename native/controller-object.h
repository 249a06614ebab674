// NativeController of host/native.ts.
#pragma once

#include "binding.h"
#include "controller.h"

namespace doorbell {

class ControllerObject : public Napi::ObjectWrap<ControllerObject> {
 public:
  explicit ControllerObject(const Napi::CallbackInfo& info);
  ~ControllerObject() override;

  static Napi::Function define(Napi::Env env);

  /** Throws EBADF once closed. */
  Controller& controller() const;
  /** The environment ends, its rings are gone: memory that a request still holds is never unmapped. */
  void shutdown();

 private:
  Napi::Value regionAdd(const Napi::CallbackInfo& info);
  Napi::Value regionRemove(const Napi::CallbackInfo& info);
  Napi::Value regionDrained(const Napi::CallbackInfo& info);
  void regionAbandon(const Napi::CallbackInfo& info);
  void windowFill(const Napi::CallbackInfo& info);
  void windowsClear(const Napi::CallbackInfo& info);
  void namespaceAttach(const Napi::CallbackInfo& info);
  void namespaceDetach(const Napi::CallbackInfo& info);
  Napi::Value inFlight(const Napi::CallbackInfo& info);
  Napi::Value completionsTake(const Napi::CallbackInfo& info);
  Napi::Value completionErrors(const Napi::CallbackInfo& info);
  Napi::Value busFaults(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  Shared<Storage> toStorage(const Napi::Value& value) const;

  std::shared_ptr<OpenObjects> open_;
  /** Keeps the core's memory: the garbage collector would unmap it under the windows. */
  Napi::ObjectReference view_;
  Shared<Controller> controller_;
};

} // namespace doorbell
