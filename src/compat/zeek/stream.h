// What of one direction's bytes Zeek would have handed to an application: which came, which were acknowledged without
// having come (a content gap), and when it stops caring.
//
// Only the bounds of the bytes are kept, never the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace tcpwhy::compat::zeek {

// How many separate stretches all streams together may still keep. Shared by the streams of one tracker.
struct StretchBudget {
  std::size_t left = 0;
};

class Stream {
 public:
  explicit Stream(StretchBudget& budget) : budget_(&budget) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { forget(); }

  struct Sender {
    bool no_data_acked = false;
    std::uint64_t size = 0;  // bytes that it has sent by its sequence numbers
    bool partial = false;    // the connection's beginning was not seen
  };
  using Gaps = std::vector<std::uint64_t>;  // lengths

  // `length` bytes at the relative number `seq`, all of which were captured.
  void take(std::uint64_t seq, std::uint64_t length, const Sender& sender, Gaps& gaps);
  // Everything before `seq` was acknowledged.
  void acknowledge(std::uint64_t seq, const Sender& sender, Gaps& gaps);

  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }
  [[nodiscard]] std::uint64_t delivered() const { return delivered_; }
  [[nodiscard]] bool given_up() const { return given_up_; }
  [[nodiscard]] bool waits_for_ack() const { return !stretches_.empty(); }

 private:
  void insert(std::uint64_t begin, std::uint64_t end);
  bool deliver();
  void skip_to(std::uint64_t seq, const Sender& sender, Gaps& gaps);
  void give_up();
  void forget();
  void erase(std::map<std::uint64_t, std::uint64_t>::iterator stretch);

  std::map<std::uint64_t, std::uint64_t> stretches_;  // begin -> end of what came and was not acknowledged yet
  StretchBudget* budget_;
  std::uint64_t kept_ = 0;          // bytes in stretches_
  std::uint64_t delivered_ = 1;     // everything before was handed on, or is missing
  std::uint64_t acknowledged_ = 1;  // everything before is of no more interest
  bool given_up_ = false;
};

}  // namespace tcpwhy::compat::zeek
