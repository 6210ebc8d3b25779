#include "bench/cases/op_cases_columns.h"

namespace bench::cases {

std::vector<OpCase> column_cases() { return tests::column_cases(); }

}  // namespace bench::cases
