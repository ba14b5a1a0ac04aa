// The connections of one thread: their table, and the way out for their records. Private to the analysis.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "base/cache_lines.h"
#include "scan/connections/analysis.h"
#include "scan/connections/connection_table.h"
#include "scan/connections/record.h"
#include "scan/packets/frame_reader.h"
#include "scan/packets/sightings.h"

namespace tcpwhy::scan {

inline bool has_flow(const Frame& frame) {
  return frame.packet.kind == wire::Dissection::tcp || frame.packet.kind == wire::Dissection::icmp_error;
}

void count(Totals& totals, const Frame& frame);
void add(Totals& sum, const Totals& part);

// Records go out together: a lock for each would cost more than making it.
class RecordBatcher {
 public:
  RecordBatcher(const OnRecords& on_records, std::mutex& mutex) : on_records_(on_records), mutex_(mutex) {}
  void put(const Connection& connection, Left left);
  void flush();

 private:
  const OnRecords& on_records_;
  std::mutex& mutex_;
  std::vector<ConnectionRecord> records_;
};

// On cache lines of its own: another thread's shard lies beside it.
class alignas(base::lines_apart) Shard {
 public:
  // Its parts know each other's places.
  Shard(const TableLimits& limits, std::uint64_t seed, const OnRecords& on_records, std::mutex& mutex)
      : batcher_(on_records, mutex),
        table_(limits, seed, [this](Connection& connection, Left left) { batcher_.put(connection, left); }) {}
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  void take(const Frame& frame);  // which has a flow
  void take(const Sighting& sighting);
  // `capture_ended_ns`: of all its frames, whatever shard they went to.
  void finish(std::int64_t capture_ended_ns);
  [[nodiscard]] std::uint64_t evicted() const { return table_.evicted(); }

 private:
  RecordBatcher batcher_;
  ConnectionTable table_;
};

}  // namespace tcpwhy::scan
