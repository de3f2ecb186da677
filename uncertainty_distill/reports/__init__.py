"""Reports of results: tables, pictures, pages."""

from uncertainty_distill.reports.assessment import assess
from uncertainty_distill.reports.claims import (
  KINDS,
  Claim,
  claims_table,
  decide,
)
from uncertainty_distill.reports.curves import read_curves, read_scalars
from uncertainty_distill.reports.html_page import REPORT_PAGE, write_page
from uncertainty_distill.reports.markup import escaped
from uncertainty_distill.reports.paper import (
  beside_paper,
  load_paper_tables,
  paper_rows,
)
from uncertainty_distill.reports.paper_orderings import (
  compare,
  describe_orderings,
  orderings,
)
from uncertainty_distill.reports.reconstruction_report import reconstruct
from uncertainty_distill.reports.report import write_report
from uncertainty_distill.reports.significance import best
from uncertainty_distill.reports.tables import markdown_table, table
