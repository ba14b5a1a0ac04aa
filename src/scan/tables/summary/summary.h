// All connections of a capture in a screenful, in memory that does not grow with their number: counts, and the worst of
// them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "scan/connections/problems.h"
#include "scan/connections/record.h"
#include "scan/tables/fields.h"

namespace tcpwhy::scan {

// A record kept for showing.
struct Kept {
  ConnectionRecord record;
  std::vector<Problem> problems;
};

// The `limit` greatest of any number of records.
class Greatest {
 public:
  // `above(a, b)`: a is to be shown before b.
  using Above = std::function<bool(const Kept& a, const Kept& b)>;
  Greatest(std::size_t limit, Above above) : limit_(limit), above_(std::move(above)) {}

  void put(const ConnectionRecord& record, std::span<const Problem> problems);
  [[nodiscard]] std::vector<Kept> in_order() const;
  [[nodiscard]] std::uint64_t offered() const { return offered_; }

 private:
  std::size_t limit_;
  Above above_;
  std::vector<Kept> heap_;
  std::uint64_t offered_ = 0;
};

// Worst first: by the severest problem, then by how many, then by bytes, then in order of the capture.
bool worse(const Kept& a, const Kept& b);
bool is_worse(const ConnectionRecord& a, std::span<const Problem> problems_of_a, const ConnectionRecord& b,
              std::span<const Problem> problems_of_b);

// A distribution of durations, each kept to within a sixteenth.
class Durations {
 public:
  void put(std::int64_t ns);  // 0 or more
  void add(const Durations& other);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::int64_t quantile(double share) const;  // upper end of its bucket, ns

 private:
  struct Bucket {
    std::size_t number = 0;
    std::uint64_t count = 0;
  };
  void add(const Bucket& bucket);
  std::vector<Bucket> buckets_;  // by number; those that are not empty
  std::uint64_t count_ = 0;
};

// What is counted of any number of connections: of all of a capture, of each group of --by.
struct Tally {
  std::uint64_t connections = 0, wrong = 0;  // wrong: with something worse than a note
  std::uint64_t bytes = 0, segments = 0, retransmissions = 0;
  std::array<std::uint64_t, opening_count> openings{};
  std::array<std::uint64_t, ending_count> endings{};
  Durations handshake;  // SYN to ACK

  void add(const ConnectionRecord& record, std::span<const Problem> problems);
  void add(const Tally& other);
};

struct Summary : Tally {
  struct ProblemCount {
    std::uint64_t connections = 0;
    std::uint64_t example_frame = 0,
                  example_stream_frame = 0;  // the evidence of the first, and that connection's first frame
  };

  std::array<std::uint64_t, tcp::reset_cause_count> resets{};
  std::array<tcp::PerSide<std::uint64_t>, ending_count> closed_by{};  // by ending
  std::vector<ProblemCount> by_problem =
      std::vector<ProblemCount>(problem_rules().size());  // by rule of problem_rules()
  std::uint64_t resent_bytes = 0;
  // What the capture itself does to what can be said.
  std::uint64_t one_way = 0;  // connections
  std::uint64_t copies = 0, offload_copies = 0, behind_ack = 0;
  std::int64_t most_behind_ack_ns = 0;

  void add(const ConnectionRecord& record, std::span<const Problem> problems);
};

// Numbers connections in order of their first frames.
class StreamNumbers {
 public:
  void put(std::uint64_t first_frame);
  void sort();  // once all are in
  [[nodiscard]] std::optional<std::uint64_t> of(
      std::uint64_t first_frame) const;  // nothing: more than can be remembered

 private:
  static constexpr std::size_t most = 8'000'000;
  std::vector<std::uint64_t> frames_;
  bool too_many_ = false;
};

}  // namespace tcpwhy::scan
