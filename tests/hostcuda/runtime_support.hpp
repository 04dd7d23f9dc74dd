// What the tests of hostcuda's runtime share.
#pragma once

#include <hostcuda/runtime/device.hpp>
#include <hostcuda/runtime/graph.hpp>

#include <functional>
#include <string>
#include <vector>

#include "support/catch.hpp"

// In deferred or immediate mode for a scope, whatever the environment says; leaves a device without errors
// behind.
class stream_mode_scope {
 public:
  explicit stream_mode_scope(hostcuda::stream_mode mode) : before_(hostcuda::settings().streams) {
    hostcuda::settings().streams = mode;
  }
  stream_mode_scope(const stream_mode_scope&) = delete;
  stream_mode_scope& operator=(const stream_mode_scope&) = delete;
  ~stream_mode_scope() {
    hostcuda::reset_device();
    hostcuda::settings().streams = before_;
  }

 private:
  hostcuda::stream_mode before_;
};

// Device memory that ends with its scope.
template <class T>
class device_array {
 public:
  explicit device_array(std::size_t size) { REQUIRE(hostcuda::cudaMalloc(&data_, size * sizeof(T)) == 0); }
  device_array(const device_array&) = delete;
  device_array& operator=(const device_array&) = delete;
  ~device_array() { hostcuda::cudaFree(data_); }

  T* get() const { return data_; }

 private:
  T* data_ = nullptr;
};

class scoped_stream {
 public:
  explicit scoped_stream(unsigned flags = hostcuda::cudaStreamNonBlocking) {
    REQUIRE(hostcuda::cudaStreamCreateWithFlags(&stream_, flags) == 0);
  }
  scoped_stream(const scoped_stream&) = delete;
  scoped_stream& operator=(const scoped_stream&) = delete;
  ~scoped_stream() { hostcuda::cudaStreamDestroy(stream_); }

  operator hostcuda::cudaStream_t() const { return stream_; }

 private:
  hostcuda::cudaStream_t stream_ = nullptr;
};

class scoped_event {
 public:
  explicit scoped_event(unsigned flags = hostcuda::cudaEventDefault) {
    REQUIRE(hostcuda::cudaEventCreateWithFlags(&event_, flags) == 0);
  }
  scoped_event(const scoped_event&) = delete;
  scoped_event& operator=(const scoped_event&) = delete;
  ~scoped_event() { hostcuda::cudaEventDestroy(event_); }

  operator hostcuda::cudaEvent_t() const { return event_; }

 private:
  hostcuda::cudaEvent_t event_ = nullptr;
};

// Writes down which work ran, in the order in which it ran.
class journal {
 public:
  void put(hostcuda::cudaStream_t stream, char name) {
    REQUIRE(try_put(stream, name) == hostcuda::cudaSuccess);
  }
  hostcuda::cudaError_t try_put(hostcuda::cudaStream_t stream, char name) {
    return hostcuda::detail::enqueue(stream, [this, name] {
      ran += name;
      return hostcuda::cudaSuccess;
    });
  }
  std::string ran;
};
