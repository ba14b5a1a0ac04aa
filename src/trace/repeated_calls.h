// A program that asks again and again and is always told the same (recv() = 0 at the end of the stream, EAGAIN, a wait that is over at once)
// makes millions of calls of which the first ones, the last one and the count are all that there is to know. Those between are not put
// aside.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "calls/call.h"
#include "calls/decode.h"

namespace tcpwhy::trace {

// It moved no data, made nothing and changed nothing, but that an error may have been taken: of two that are alike the second tells nothing new.
bool changes_nothing(const calls::CallRow& row, const calls::SyscallArguments& arguments, std::int64_t result);

class RepeatedCalls {
 public:
  // Calls that are not put aside: how many, when the first was entered and the last one was back.
  struct Run {
    std::uint64_t count = 0;
    std::uint64_t since_ns = 0, until_ns = 0;
  };
  struct Call {
    std::uint64_t key;  // what it acts on: a socket; a wait of several: its thread
    std::uint64_t entered_ns, returned_ns;
    std::span<const std::byte> record;
  };
  // The same but for their times and numbers, by the same thread.
  using Alike = bool(std::span<const std::byte> one, std::span<const std::byte> other);
  // To be put aside: the latest call of its like, and what came between those before and it (count 0: nothing).
  using PutAside = std::function<void(std::span<const std::byte> last, const Run& before)>;

  RepeatedCalls(Alike& alike, PutAside put_aside) : alike_(alike), put_aside_(std::move(put_aside)) {}

  // A call that changes nothing. True: it is one of many, and held; false: it is to be put aside.
  bool hold(const Call& call);
  // Something else happened to it: what is held is put aside, and the next call is the first of its like again.
  void end(std::uint64_t key) {
    if (Place& place = place_of(key); place.used > 0 && place.key == key) end(place);
  }
  void end_all() {
    for (Place& place : places_) end(place);
  }

  static constexpr std::uint64_t told_first = 8;              // of a like, those that are put aside each
  static constexpr std::uint64_t most_apart_ns = 10'000'000;  // from one's return to the next one's entry

 private:
  struct Line {
    std::vector<std::byte> record;  // the latest that is held; or any of its like
    std::uint64_t times = 0, entered_ns = 0, returned_ns = 0;
    bool holds = false;
    Run run;
  };
  // What goes round in a loop: recv() and send(), getsockopt() and recv().
  static constexpr std::size_t most_lines = 4;
  struct Place {
    std::uint64_t key = 0;
    std::size_t used = 0;
    std::array<Line, most_lines> lines;
  };
  static constexpr std::size_t places = 64;  // whoever finds his taken takes it over

  Place& place_of(std::uint64_t key) { return places_[key * 0x9e37'79b9'7f4a'7c15U >> 58U]; }
  void end(Place& place);
  void let_go(Line& line);

  Alike& alike_;
  PutAside put_aside_;
  std::array<Place, places> places_;
};

}  // namespace tcpwhy::trace
