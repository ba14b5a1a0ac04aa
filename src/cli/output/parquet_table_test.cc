#include "cli/output/parquet_table.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace tcpwhy::cli {
namespace {

const std::string stand_in = TCPWHY_TEST_PROGRAMS "/duckdb_stand_in_library.so";

std::vector<const scan::Field*> columns(std::initializer_list<const char*> names) {
  std::vector<const scan::Field*> found;
  for (const char* name : names) found.push_back(scan::find_field(name));
  return found;
}

// What comes out of the table for these rows; an error's words where it is none.
std::string made_of(const std::vector<const scan::Field*>& columns, std::string_view rows, const std::string& library) {
  auto table = ParquetTable::open(columns, library);
  if (!table) return table.error().message.en;
  if (auto added = (*table)->add(rows); !added) return added.error().message.en;
  std::FILE* file = std::tmpfile();
  Output out(fileno(file));
  if (auto written = (*table)->write_to(out); !written) return written.error().message.en;
  std::string bytes(65536, '\0');
  const ssize_t count = pread(fileno(file), bytes.data(), bytes.size(), 0);
  std::fclose(file);
  bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  return bytes;
}

TEST(ParquetTable, without_the_library_says_what_it_needs) {
  const auto table = ParquetTable::open(columns({"client"}), "libthere_is_none.so");
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().message.en, "-o parquet needs DuckDB's library, and libthere_is_none.so is not there");
  EXPECT_NE(table.error().hint.en.find("-o csv"), std::string::npos);
}

TEST(ParquetTable, does_not_take_another_library_for_it) {
  EXPECT_EQ(made_of(columns({"client"}), "", "libm.so.6"), "libm.so.6 is not DuckDB's library");
}

// A stand-in whose file is the question that it was asked, and the rows that it was to read (testing/duckdb_stand_in_library.cc).
TEST(ParquetTable, asks_for_each_column_with_its_type) {
  const std::string made =
      made_of(columns({"client", "bytes", "reset", "problems"}), "10.0.0.1:5,100,true,a b\n", stand_in);
  EXPECT_NE(made.find("SELECT client, bytes, reset, coalesce(string_split(problems, ' '), []::VARCHAR[]) AS problems "
                      "FROM read_csv("),
            std::string::npos)
      << made;
  EXPECT_NE(made.find("columns = {'client': 'VARCHAR', 'bytes': 'BIGINT', 'reset': 'BOOLEAN', 'problems': 'VARCHAR'}"),
            std::string::npos)
      << made;
  EXPECT_TRUE(made.ends_with("\n10.0.0.1:5,100,true,a b\n")) << made;
}

TEST(ParquetTable, passes_on_what_goes_wrong) {
  EXPECT_EQ(made_of(columns({"client"}), "fail\n", stand_in), "DuckDB: as was wished");
}

// Where DuckDB is installed.
TEST(ParquetTable, is_made_by_the_library_itself) {
  if (!ParquetTable::open(columns({"client"}))) GTEST_SKIP() << "libduckdb.so is not installed";
  const std::string made = made_of(columns({"client", "bytes", "reset", "problems"}),
                                   "10.0.0.1:5,100,true,a b\n10.0.0.1:6,,false,\n", "libduckdb.so");
  EXPECT_TRUE(made.starts_with("PAR1") && made.ends_with("PAR1")) << made;
}

}  // namespace
}  // namespace tcpwhy::cli
