// For tests: what an analysis finds of a whole capture.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/testing/data.h"
#include "scan/connections/analysis.h"
#include "scan/connections/problems.h"
#include "scan/tables/fields.h"

namespace tcpwhy::scan::testing {

// Those of tests/two-stacks, and the public ones where they are there.
inline std::vector<std::filesystem::path> captures() {
  std::vector<std::filesystem::path> all = base::testing::public_capture_files();
  std::ranges::move(base::testing::two_stacks_captures(), std::back_inserter(all));
  return all;
}

// Every record, in order of the first frames.
inline std::vector<ConnectionRecord> records_of(base::Result<FrameReader> reader, unsigned threads = 1) {
  std::vector<ConnectionRecord> all;
  EXPECT_TRUE(reader);
  if (!reader) return all;
  const AnalysisOptions options{.threads = threads, .limits = {}, .seed = threads, .on_progress = {}};
  analyse(std::move(*reader), options,
          [&](std::span<const ConnectionRecord> some) { all.insert(all.end(), some.begin(), some.end()); });
  std::ranges::sort(all, {}, &ConnectionRecord::first_frame);
  return all;
}

// Every record as NDJSON, without the fields named.
inline std::vector<std::string> ndjson_of(base::Result<FrameReader> reader, unsigned threads = 1,
                                          const std::vector<std::string_view>& without = {}) {
  std::vector<const Field*> columns;
  for (const Field& field : fields())
    if (std::ranges::find(without, field.name) == without.end()) columns.push_back(&field);
  std::vector<std::string> lines;
  for (const ConnectionRecord& record : records_of(std::move(reader), threads)) {
    const auto problems = problems_of(record);
    lines.push_back(ndjson_line({record, problems, {}}, columns));
  }
  return lines;
}

}  // namespace tcpwhy::scan::testing
