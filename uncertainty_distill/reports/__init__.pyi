"""The public names of this package, for type checkers and `__init__.py`."""

from .assessment import assess as assess
from .assessment import check_folder as check_folder
from .assessment import evaluate_at_once as evaluate_at_once
from .claims import KINDS as KINDS
from .claims import Claim as Claim
from .claims import claims_table as claims_table
from .claims import decide as decide
from .claims import differences_table as differences_table
from .curves import read_curves as read_curves
from .curves import read_scalars as read_scalars
from .html_page import REPORT_PAGE as REPORT_PAGE
from .html_page import write_page as write_page
from .paper import beside_paper as beside_paper
from .paper import load_paper_tables as load_paper_tables
from .paper import paper_rows as paper_rows
from .paper_orderings import compare as compare
from .paper_orderings import describe_orderings as describe_orderings
from .paper_orderings import orderings as orderings
from .reconstruction_report import write_reconstruction as write_reconstruction
from .report import write_report as write_report
from .significance import best as best
from .tables import markdown_table as markdown_table
from .tables import table as table
