// bench/cases/op_cases.h as one call: the table is long to compile, and this is the one place of bench/ that does.
#pragma once
#include <vector>

#include "bench/cases/op_cases.h"

namespace bench {

std::vector<tests::OpCase> op_table();

}  // namespace bench
